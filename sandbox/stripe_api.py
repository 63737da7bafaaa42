"""The part of Stripe's API that a wallet calls: sessions, payments, refunds, disputes, payouts and events.

A handler reads its parameters, refuses unknown ones, and calls one verb. endpoint.py does what every call
needs.
"""

import time

from sandbox import payouts, refunds, sessions, store
from sandbox.checkout_parameters import new_session
from sandbox.errors import NoSuchObject, StripeError
from sandbox.listing import listed, listed_by_payment, retrieved
from sandbox.parameters import Parameters
from sandbox.store import Body

TYPES_MAX = 20


# --- Checkout Sessions ------------------------------------------------------------------------------


def create_session(parameters: Parameters, *, page_address: str) -> Body:
    arguments = new_session(parameters)
    parameters.require_nothing_else()
    return sessions.create(page_address=page_address, **arguments).body


def retrieve_session(parameters: Parameters, *, session_id: str, **where: str) -> Body:
    parameters.require_nothing_else()
    return sessions.find(session_id).body


def expire_session(parameters: Parameters, *, session_id: str, **where: str) -> Body:
    parameters.require_nothing_else()
    return sessions.expire(session_id).body


def list_sessions(parameters: Parameters, **where: str) -> Body:
    status = parameters.choice("status", "open", "complete", "expired")
    # There are no customers, links or subscriptions here, so a filter by one finds nothing.
    others = [
        parameters.text(name) for name in ("customer", "customer_account", "payment_link", "subscription")
    ]
    parameters.ignore("customer_details")
    return listed_by_payment(
        "checkout.session",
        parameters,
        "payment_intent",
        address="/v1/checkout/sessions",
        wanted=lambda session: (status is None or session["status"] == status) and not any(others),
    )


# --- Payments, refunds, disputes --------------------------------------------------------------------


def retrieve_payment_intent(parameters: Parameters, *, intent_id: str, **where: str) -> Body:
    return retrieved("payment_intent", parameters, intent_id, param="intent")


def list_payment_intents(parameters: Parameters, **where: str) -> Body:
    no_one = [parameters.text(name) for name in ("customer", "customer_account")]
    return listed(
        "payment_intent",
        parameters,
        address="/v1/payment_intents",
        wanted=lambda intent: not any(no_one),
    )


def retrieve_charge(parameters: Parameters, *, charge_id: str, **where: str) -> Body:
    return retrieved("charge", parameters, charge_id, param="id")


def list_charges(parameters: Parameters, **where: str) -> Body:
    others = [parameters.text(name) for name in ("customer", "transfer_group")]
    return listed_by_payment(
        "charge",
        parameters,
        "payment_intent",
        address="/v1/charges",
        wanted=lambda charge: not any(others),
    )


def create_refund(parameters: Parameters, **where: str) -> Body:
    charge_id, intent_id = parameters.text("charge"), parameters.text("payment_intent")
    amount = parameters.integer("amount", least=1)
    reason = parameters.choice("reason", "duplicate", "fraudulent", "requested_by_customer")
    metadata = parameters.metadata("metadata")
    parameters.require_nothing_else()
    if not charge_id:
        if not intent_id:
            raise parameters.missing("payment_intent")
        charge_id = _charge_of(intent_id)
    return refunds.refund(charge_id, amount=amount, reason=reason, metadata=metadata).body


def retrieve_refund(parameters: Parameters, *, refund_id: str, **where: str) -> Body:
    return retrieved("refund", parameters, refund_id, param="id")


def list_refunds(parameters: Parameters, **where: str) -> Body:
    return listed_by_payment("refund", parameters, "charge", "payment_intent", address="/v1/refunds")


def cancel_refund(parameters: Parameters, *, refund_id: str, **where: str) -> Body:
    """Only a refund that waits for the buyer's bank details can be canceled over the API."""
    parameters.require_nothing_else()
    return refunds.cancel(refund_id, allowed=("requires_action",)).body


def retrieve_dispute(parameters: Parameters, *, dispute_id: str, **where: str) -> Body:
    return retrieved("dispute", parameters, dispute_id, param="id")


def list_disputes(parameters: Parameters, **where: str) -> Body:
    return listed_by_payment("dispute", parameters, "charge", "payment_intent", address="/v1/disputes")


def _charge_of(intent_id: str) -> str:
    intent = store.get("payment_intent", intent_id)
    if intent is None:
        raise NoSuchObject("payment_intent", intent_id, param="payment_intent")
    if intent.body["latest_charge"] is None:
        raise StripeError(
            "This PaymentIntent does not have a successful charge to refund.", param="payment_intent"
        )
    return str(intent.body["latest_charge"])


# --- Balance transactions ---------------------------------------------------------------------------


def retrieve_balance_transaction(parameters: Parameters, *, transaction_id: str, **where: str) -> Body:
    return retrieved("balance_transaction", parameters, transaction_id, param="id")


def list_balance_transactions(parameters: Parameters, **where: str) -> Body:
    """Every move of money, newest first, or those that are in an automatic payout."""
    kind, currency, payout = (parameters.text(name) for name in ("type", "currency", "payout"))
    in_payout = set(payouts.items_of(payout)) if payout else None
    return listed_by_payment(
        "balance_transaction",
        parameters,
        "source",
        address="/v1/balance_transactions",
        wanted=lambda moved: (
            (kind is None or moved["type"] == kind)
            and (currency is None or moved["currency"] == currency)
            and (in_payout is None or moved["id"] in in_payout)
        ),
    )


# --- Payouts ----------------------------------------------------------------------------------------


def retrieve_payout(parameters: Parameters, *, payout_id: str, **where: str) -> Body:
    return retrieved("payout", parameters, payout_id, param="payout")


def list_payouts(parameters: Parameters, **where: str) -> Body:
    status = parameters.choice("status", "pending", "paid", "failed", "canceled")
    payouts.let_time_pass(time.time())
    return listed(
        "payout",
        parameters,
        address="/v1/payouts",
        wanted=lambda payout: status is None or payout["status"] == status,
    )


# --- Events -----------------------------------------------------------------------------------------


def retrieve_event(parameters: Parameters, *, event_id: str, **where: str) -> Body:
    return retrieved("event", parameters, event_id, param="id")


def list_events(parameters: Parameters, **where: str) -> Body:
    one_type, types = parameters.text("type"), parameters.texts("types")
    if one_type and types:
        raise parameters.invalid("types", "You may pass either type or types, not both.")
    if len(types) > TYPES_MAX:
        raise parameters.invalid("types", f"You may pass up to {TYPES_MAX} types.")
    wanted_types = [one_type] if one_type else types
    delivered = parameters.boolean("delivery_success")
    return listed(
        "event",
        parameters,
        address="/v1/events",
        wanted=lambda event: (
            (not wanted_types or any(_is_of_type(event["type"], each) for each in wanted_types))
            and (delivered is None or (event["pending_webhooks"] == 0) == delivered)
        ),
    )


def _is_of_type(event_type: str, wanted: str) -> bool:
    """Whether a type matches; `charge.*` matches every type that begins with `charge.`."""
    return event_type.startswith(wanted[:-1]) if wanted.endswith(".*") else event_type == wanted
