"""Stripe's objects as its API shows them, with the fields that a wallet may read. Plain dicts, not stored."""

import secrets
import string
import time
from dataclasses import asdict, dataclass, field
from typing import Any

# The version of this API; events contain it too.
API_VERSION = "2026-10-28.endive"
DISPUTE_FEE_CENTS = 1500
CHARGE_FEE_PER_MILLE = 29
CHARGE_FEE_FIXED_CENTS = 30
ALPHABET = string.ascii_letters + string.digits

DAY_SECONDS = 24 * 3600

Body = dict[str, Any]


def new_id(prefix: str, length: int = 24) -> str:
    """An id like Stripe's: pi_3... and letters and digits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


@dataclass(frozen=True)
class Order:
    """What is bought in a session: the sum of its lines."""

    amount: int
    currency: str
    names: tuple[str, ...]
    payment_metadata: dict[str, str] = field(default_factory=dict)
    payment_method_types: tuple[str, ...] = ("card",)

    def as_notes(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_notes(cls, notes: dict[str, Any]) -> "Order":
        """The order from a document's notes, where JSON has made lists of its tuples."""
        kept = {name: notes[name] for name in ("amount", "currency", "payment_metadata")}
        return cls(
            names=tuple(notes["names"]), payment_method_types=tuple(notes["payment_method_types"]), **kept
        )


def checkout_session(
    order: Order,
    *,
    session_id: str,
    created: int,
    expires_at: int,
    metadata: dict[str, str],
    client_reference_id: str | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
    url: str | None = None,
    automatic_tax: bool = False,
    adaptive_pricing: bool = False,
) -> Body:
    """An open session that waits for its buyer."""
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": adaptive_pricing},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": order.amount,
        "amount_total": order.amount,
        "automatic_tax": {"enabled": automatic_tax, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": cancel_url,
        "client_reference_id": client_reference_id,
        "client_secret": None,
        "created": created,
        "currency": order.currency,
        "custom_fields": [],
        "customer": None,
        "customer_details": None,
        "customer_email": None,
        "discounts": [],
        "expires_at": expires_at,
        "invoice": None,
        "livemode": False,
        "locale": None,
        "metadata": metadata,
        "mode": "payment",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_types": list(order.payment_method_types),
        "payment_status": "unpaid",
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "success_url": success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
    }


def payment_intent(order: Order, *, created: int) -> Body:
    """The payment of a session, created when the buyer first tries to pay."""
    return {
        "id": new_id("pi_3"),
        "object": "payment_intent",
        "amount": order.amount,
        "amount_received": 0,
        "canceled_at": None,
        "capture_method": "automatic_async",
        "created": created,
        "currency": order.currency,
        "customer": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": dict(order.payment_metadata),
        "payment_method_types": list(order.payment_method_types),
        "status": "requires_payment_method",
    }


def charge(intent: Body, *, created: int) -> Body:
    """A successful charge of a payment. Its metadata is a copy of the payment's at that moment."""
    return {
        "id": new_id("ch_3"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": new_id("txn_3"),
        "captured": True,
        "created": created,
        "currency": intent["currency"],
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def complete(session: Body, intent: Body) -> None:
    """The buyer has completed the form. The session is complete, but not necessarily paid."""
    intent["last_payment_error"] = None
    session["payment_intent"] = intent["id"]
    session["status"] = "complete"
    session["url"] = None
    session["customer_details"] = {
        "address": {
            "city": None,
            "country": "US",
            "line1": None,
            "line2": None,
            "postal_code": "94111",
            "state": None,
        },
        "email": "buyer@example.com",
        "name": "Sandbox Buyer",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def succeed(session: Body, intent: Body, charge: Body) -> None:
    """The money arrived."""
    intent["status"] = "succeeded"
    intent["amount_received"] = intent["amount"]
    intent["latest_charge"] = charge["id"]
    session["payment_status"] = "paid"


def refuse(intent: Body, *, code: str, message: str) -> None:
    """The buyer's bank refused."""
    intent["status"] = "requires_payment_method"
    intent["last_payment_error"] = {
        "code": code,
        "decline_code": "generic_decline" if code == "card_declined" else None,
        "message": message,
        "type": "card_error" if code == "card_declined" else "invalid_request_error",
    }


def refund(
    charge: Body,
    *,
    amount: int,
    status: str,
    reason: str | None,
    metadata: dict[str, str],
    created: int | None = None,
) -> Body:
    """A refund, by default made now. The money has left the merchant's balance, in every status."""
    now = int(time.time()) if created is None else created
    details = {
        "email_sent": {"email_sent_at": now, "email_sent_to": "buyer@example.com"},
        "expires_at": now + 30 * DAY_SECONDS,
    }
    asks_for_details = {"display_details": details, "type": "display_details"}
    return {
        "id": new_id("re_3"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn_3"),
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": metadata,
        "next_action": asks_for_details if status == "requires_action" else None,
        "payment_intent": charge["payment_intent"],
        "pending_reason": "processing" if status == "pending" else None,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def dispute(
    charge: Body, *, amount: int, reason: str, status: str, case_type: str, created: int | None = None
) -> Body:
    """A dispute, by default opened now: the buyer complains to the bank. No money has moved yet.

    The type of the case is chargeback, inquiry, or resolution (settled before it became a chargeback).
    """
    now = int(time.time()) if created is None else created
    return {
        "id": new_id("dp_1"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {
            "due_by": now + 9 * DAY_SECONDS,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": case_type == "inquiry",
        "livemode": False,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": case_type, "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": reason,
        "status": status,
    }


def event(event_type: str, about: Body, *, previous: Body | None = None, by_request: bool) -> Body:
    """An event, with its object as it was at that moment."""
    data: Body = {"object": about}
    if previous:
        data["previous_attributes"] = previous
    return {
        "id": new_id("evt_1"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": new_id("req_", 14) if by_request else None, "idempotency_key": None},
        "type": event_type,
    }


# --- Balance transactions ---------------------------------------------------------------------------


def transaction_of_charge(charge: Body) -> Body:
    """The money of a charge, with Stripe's fee for it."""
    fee = charge["amount"] * CHARGE_FEE_PER_MILLE // 1000 + CHARGE_FEE_FIXED_CENTS
    return _transaction(
        charge,
        transaction_id=charge["balance_transaction"],
        amount=charge["amount"],
        fee=fee,
        fee_name="Stripe processing fees",
        kind="charge",
        category="charge",
        description=charge["description"],
    )


def transaction_of_refund(refund: Body) -> Body:
    """The money that a refund takes."""
    return _transaction(
        refund,
        transaction_id=refund["balance_transaction"],
        amount=-refund["amount"],
        kind="refund",
        category="refund",
        description="REFUND FOR CHARGE",
    )


def transaction_of_failed_refund(refund: Body, *, created: int) -> Body:
    """The money of a failed or canceled refund, back on the balance."""
    return _transaction(
        refund,
        transaction_id=refund["failure_balance_transaction"],
        amount=refund["amount"],
        kind="refund_failure",
        category="refund_failure",
        description="REFUND FAILURE FOR CHARGE",
        created=created,
    )


def transaction_of_dispute(dispute: Body, *, amount: int, fee: int, created: int | None = None) -> Body:
    """Money that a dispute took (below 0) or returned, by default now."""
    return _transaction(
        dispute,
        transaction_id=new_id("txn_1"),
        amount=amount,
        fee=fee,
        fee_name="Dispute fee",
        kind="adjustment",
        category="dispute" if amount < 0 else "dispute_reversal",
        description=f"Chargeback {'withdrawal' if amount < 0 else 'reversal'} for {dispute['charge']}",
        created=int(time.time()) if created is None else created,
    )


def payout(*, amount: int, created: int, automatic: bool, status: str) -> Body:
    """A payout that arrives at the bank a day after it was made."""
    return {
        "id": new_id("po_1"),
        "object": "payout",
        "amount": amount,
        "arrival_date": created + 86_400,
        "automatic": automatic,
        "balance_transaction": new_id("txn_1"),
        "created": created,
        "currency": "usd",
        "description": "STRIPE PAYOUT",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "source_type": "card",
        "status": status,
        "type": "bank_account",
    }


def transaction_of_payout(payout: Body) -> Body:
    """The money that a payout takes from the balance."""
    return _transaction(
        payout,
        transaction_id=payout["balance_transaction"],
        amount=-payout["amount"],
        kind="payout",
        category="payout",
        description=payout["description"],
    )


def transaction_of_returned_payout(payout: Body, *, created: int) -> Body:
    """The money of a payout that failed or was canceled: it is on the balance again."""
    return _transaction(
        payout,
        transaction_id=payout["failure_balance_transaction"],
        amount=payout["amount"],
        kind="payout_failure" if payout["status"] == "failed" else "payout_cancel",
        category="payout_reversal",
        description=f"REFUND FOR PAYOUT ({payout['description']})",
        created=created,
    )


def _transaction(
    source: Body,
    *,
    transaction_id: str,
    amount: int,
    kind: str,
    category: str,
    description: str | None,
    fee: int = 0,
    fee_name: str = "",
    created: int | None = None,
) -> Body:
    """A move of money because of its source, by default when the source was created."""
    moment = source["created"] if created is None else created
    detail = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": fee_name,
        "type": "stripe_fee",
    }
    return {
        "id": transaction_id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": moment,
        "balance_type": "payments",
        "created": moment,
        "currency": source["currency"],
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [detail] if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": source["id"],
        "status": "available",
        "type": kind,
    }
