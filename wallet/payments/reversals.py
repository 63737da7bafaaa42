"""Store what Stripe says of refunds and disputes, and bring the books to it.

Reports come in any order, twice, or before the top-up of their payment. Each is stored by its id at Stripe,
and what is stored depends only on which reports came, not on their order: a refund that has ended stays so, a
dispute keeps every balance transaction that was ever reported, and of the rest the latest report counts.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from foundation.database.transactions import retried
from foundation.text import beginning, one_line
from wallet.payments import claims, refund_requests, settlement, stripe_gateway
from wallet.payments.models import Payment, StripeDispute, StripeEvent, StripeRefund, TopUp
from wallet.payments.sessions import Parked, is_plain, payment_at, plain_or_nothing, text_at

STATUS_LENGTH = 50
REASON_LENGTH = 100
CENTS_MAX = 99_999_999_999

NO_PAYMENT_INTENT = "It has no payment intent, so it belongs to no top-up."
NO_TOPUP = "No top-up has this payment. It is kept in case the top-up is reported later."
CLOSED = "Staff closed this payment without credits: there is nothing to take back."
MOVED = "It was reported for another payment before."
BY_HAND = "The credits of this payment were given by hand: take back what is due by hand."


def refund(body: dict[str, Any], *, happened_at: datetime) -> str:
    """Store a refund of Stripe, and take back or reinstate its credits. Return a remark for staff.

    Raises Parked if staff must decide: it is in another mode or currency, or cannot be read.
    """
    return _handle(
        body, happened_at, kind="refund", cause=f"Refund {text_at(body, 'id')}.", store=_store_refund
    )


def charge(body: dict[str, Any], *, happened_at: datetime) -> str:
    """Store how much a charge says it refunded, and take back the credits. Return a remark for staff.

    Raises Parked like `refund`.
    """
    return _handle(
        body,
        happened_at,
        kind="charge",
        cause=f"Refund of charge {text_at(body, 'id')}.",
        store=_store_charge,
    )


def dispute(body: dict[str, Any], *, happened_at: datetime) -> str:
    """Store a dispute of Stripe, and take back or reinstate its credits. Return a remark for staff.

    Only money that moved counts, not the status: an inquiry moves none, and a lost dispute may return a part.
    Raises Parked like `refund`.
    """
    return _handle(
        body, happened_at, kind="dispute", cause=f"Dispute {text_at(body, 'id')}.", store=_store_dispute
    )


@retried
@transaction.atomic
def _handle(
    body: dict[str, Any],
    happened_at: datetime,
    *,
    kind: str,
    cause: str,
    store: Callable[[dict[str, Any], Payment, datetime], None],
) -> str:
    payment_intent_id = payment_at(body)
    if body.get("object", kind) != kind:
        raise Parked(f"It is no {kind}.")
    if not is_plain(text_at(body, "id")):
        raise Parked("It has no id.")
    if bool(body.get("livemode", stripe_gateway.is_live())) != stripe_gateway.is_live():
        raise Parked("Its livemode does not match the mode of our Stripe key.")
    if not payment_intent_id:
        return NO_PAYMENT_INTENT
    payment = claims.known(payment_intent_id)
    topup = _topup_of(payment)
    if body.get("currency") != "usd":
        # A payment in US dollars is refunded in US dollars. So this belongs to no top-up, or it is odd.
        if topup is None and payment.state == Payment.State.KNOWN:
            return NO_TOPUP
        raise Parked("It is not in US dollars.")
    store(body, payment, happened_at)
    if payment.state == Payment.State.BY_HAND:
        raise Parked(BY_HAND)
    if payment.state == Payment.State.CLOSED:
        return CLOSED
    if topup is None and payment.state == Payment.State.CREDITED:
        raise Parked(f"Our record of the payment ({payment.pk}, as {payment.entry_id}) has no top-up.")
    if topup is None:
        return NO_TOPUP
    return settlement.follow(topup, happened_at=happened_at, cause=cause)


def _topup_of(payment: Payment) -> TopUp | None:
    """Return the paid top-up of a payment intent, locked, or None."""
    paid = TopUp.objects.locked().filter(state=TopUp.State.PAID)
    if payment.state != Payment.State.KNOWN:
        return paid.filter(stripe_session_id=payment.session_id).first()
    topup = paid.filter(payment_intent_id=payment.pk).first()
    if topup and topup.stripe_session_id and topup.entry_id:
        # An older release credited it, and knew no rows of payments.
        credited = Payment.State.CREDITED
        payment.state, payment.session_id = credited, topup.stripe_session_id
        payment.user_id, payment.entry_id = topup.user_id, topup.entry_id
        payment.save(update_fields=["state", "session_id", "user_id", "entry_id"])
    if topup is None:
        _follow_decision_by_hand(payment)
    return topup


def _follow_decision_by_hand(payment: Payment) -> None:
    """Give a payment intent the decision that staff made about its session, before it was known.

    An older release decided about sessions only. Or a later event named the payment intent first.
    """
    named = StripeEvent.objects.filter(payment_intent_id=payment.pk).exclude(stripe_session_id="")
    by_hand = Payment.objects.filter(
        pk__in=named.values("stripe_session_id"), state__in=[Payment.State.BY_HAND, Payment.State.CLOSED]
    )
    if decided := by_hand.order_by("pk").first():
        names = ("state", "session_id", "user_id", "entry_id")
        for name in names:
            setattr(payment, name, getattr(decided, name))
        payment.save(update_fields=names)


def _store_refund(body: dict[str, Any], payment: Payment, reported_at: datetime) -> None:
    fresh = StripeRefund(
        id=text_at(body, "id"),
        payment_intent_id=payment.pk,
        charge_id=_charge_id(body),
        amount_cents=_cents(body.get("amount"), "amount"),
        status=_plain_text(text_at(body, "status"), STATUS_LENGTH),
        reason=_plain_text(text_at(body, "failure_reason") or text_at(body, "reason"), REASON_LENGTH),
        created_at=_created_at(body, reported_at),
        reported_at=reported_at,
    )
    stored = StripeRefund.objects.filter(pk=fresh.pk).first()
    _require_same_payment(stored, payment)
    if stored is None or _age(fresh) >= _age(stored):
        fresh.save()
    refund_requests.note_reported(body, fresh)


def _age(refund: StripeRefund) -> tuple[bool, datetime, bool, str]:
    # Stripe's times are whole seconds, so two reports may have the same time.
    return refund.has_ended, refund.reported_at, refund.status == "succeeded", refund.status


def _store_charge(body: dict[str, Any], payment: Payment, reported_at: datetime) -> None:
    refunded_cents = _cents(body.get("amount_refunded"), "amount_refunded", least=0)
    if refunded_cents > payment.refunded_cents:
        payment.refunded_cents = refunded_cents
        payment.save(update_fields=["refunded_cents"])


def _store_dispute(body: dict[str, Any], payment: Payment, reported_at: datetime) -> None:
    movements = _movements(body)
    fresh = StripeDispute(
        id=text_at(body, "id"),
        payment_intent_id=payment.pk,
        charge_id=_charge_id(body),
        amount_cents=_cents(body.get("amount"), "amount", least=0),
        status=_plain_text(text_at(body, "status"), STATUS_LENGTH),
        reason=_plain_text(text_at(body, "reason"), REASON_LENGTH),
        movements=movements,
        due_at=_due_at(body),
        created_at=_created_at(body, reported_at),
        reported_at=reported_at,
    )
    if stored := StripeDispute.objects.filter(pk=fresh.pk).first():
        _require_same_payment(stored, payment)
        both = stored.movements | movements
        if _progress(stored) > _progress(fresh):
            fresh = stored
        fresh.movements = both
    fresh.save()


def _require_same_payment(stored: StripeRefund | StripeDispute | None, payment: Payment) -> None:
    """Raise Parked if the refund or dispute was stored for another payment.

    Stripe never changes it. The credits of the first payment would not follow, because only the lock of the
    second one is held.
    """
    if stored and stored.payment_intent_id != payment.pk:
        raise Parked(MOVED)


def _progress(dispute: StripeDispute) -> tuple[datetime, bool, str]:
    return dispute.reported_at, dispute.status in StripeDispute.CLOSED, dispute.status


def _movements(body: dict[str, Any]) -> dict[str, int]:
    """Return the cents of each balance transaction of a dispute, by its id."""
    transactions = body.get("balance_transactions") or []
    if not isinstance(transactions, list):
        raise Parked("balance_transactions is no list.")
    movements = {}
    for each in transactions:
        if not isinstance(each, dict) or not is_plain(text_at(each, "id")):
            raise Parked("A balance transaction has no id.")
        if each.get("currency") != "usd":
            raise Parked("Its money moved in another currency than US dollars.")
        amount = each.get("amount")
        if type(amount) is not int or abs(amount) > CENTS_MAX:
            raise Parked("The amount of a balance transaction is not an integer.")
        movements[text_at(each, "id")] = amount
    return movements


def _charge_id(body: dict[str, Any]) -> str:
    return plain_or_nothing(text_at(body, "charge") or text_at(body, "charge", "id"))


def _plain_text(text: str, length: int) -> str:
    """Return the text without characters that PostgreSQL cannot store, cut to this length."""
    return beginning(one_line(text), length)


def _cents(value: object, name: str, *, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= CENTS_MAX:
        raise Parked(f"{name} is not a possible amount.")
    return value


def _due_at(body: dict[str, Any]) -> datetime | None:
    details = body.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    return datetime.fromtimestamp(due_by, tz=UTC) if stripe_gateway.is_time(due_by) else None


def _created_at(body: dict[str, Any], otherwise: datetime) -> datetime:
    created = body.get("created")
    return datetime.fromtimestamp(created, tz=UTC) if stripe_gateway.is_time(created) else otherwise
