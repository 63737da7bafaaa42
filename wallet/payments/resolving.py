"""Resolve a Stripe event by hand, when it cannot be handled automatically."""

from django.db import transaction
from django.utils import timezone

from accounts.misar_ids import is_misar_id
from foundation import money
from foundation.database.transactions import retried
from wallet import identifiers
from wallet.charges import adjustments
from wallet.errors import NotToResolve
from wallet.payments import claims
from wallet.payments.models import Payment, StripeEvent, TopUp
from wallet.payments.sessions import tells_of_payment

State = StripeEvent.State

REMARK = "Its payment was resolved by hand."


def is_resolvable(event: StripeEvent) -> bool:
    """Return whether staff may resolve an event by hand.

    The event is parked, or handling it has failed, or an earlier release only stored it.
    """
    return event.state in (State.PARKED, State.KEPT) or (event.state == State.WAITING and event.tries > 0)


@retried
@transaction.atomic
def resolve(
    event: StripeEvent, *, user_id: str = "", credits: int | None = None, reason: str, key: str, actor: str
) -> StripeEvent:
    """Close a parked or failed event by a decision of staff. With `credits`, also give credits to a user.

    `credits` is at least 1, and `user_id` is the Misar ID of the user who gets them. The adjustment names the
    session and is written in the same transaction. If the event reports a payment, no process will credit
    this payment later. Raises NotToResolve if `is_resolvable` is false. If `credits` is set,
    also raises NotToResolve if the payment has already been credited, automatically or by hand.
    """
    assert credits is None or (credits > 0 and is_misar_id(user_id)), "the form has refused anything else"
    stored = StripeEvent.objects.select_for_update().get(pk=event.pk)
    if not is_resolvable(stored):
        raise NotToResolve(f"This event is {stored.get_state_display().lower()}: there is nothing to resolve")
    session_id, entry_id = stored.stripe_session_id, identifiers.transaction_id()
    if credits is not None:
        _claim_by_hand(stored, user_id=user_id, entry_id=entry_id)
    elif tells_of_payment(stored):
        for stripe_id in _ids_of(stored):
            claims.claim(stripe_id, session_id=session_id, state=Payment.State.CLOSED)
    # Lock the top-up before the wallet (see the order of locks in claims.py).
    if session_id and (credits is not None or tells_of_payment(stored)):
        _close_topup(session_id, given_to=user_id if credits is not None else "")
    how = "Resolved by hand"
    if credits is not None:
        adjustments.adjust(
            user_id=user_id,
            credits=credits,
            reason=reason,
            key=key,
            actor=actor,
            stripe_session_id=session_id,
            id=entry_id,
        )
        how += f", with {money.credits(credits)} for {user_id}"
    stored.state, stored.handled_at = State.RESOLVED, timezone.now()
    stored.remark = f"{stored.remark} {how}: {reason}".strip()
    stored.user_id = stored.user_id or user_id  # The back-office then lists the event on this user's page.
    stored.save(update_fields=["state", "handled_at", "remark", "user_id"])
    return stored


def _claim_by_hand(event: StripeEvent, *, user_id: str, entry_id: str) -> None:
    """Claim the payment of an event for an adjustment. Raises NotToResolve if it is credited already."""
    for stripe_id in _ids_of(event):
        payment = claims.claim(
            stripe_id,
            session_id=event.stripe_session_id,
            state=Payment.State.BY_HAND,
            user_id=user_id,
            entry_id=entry_id,
        )
        if payment.entry_id == entry_id:
            continue
        if payment.state == Payment.State.BY_HAND:
            raise NotToResolve(f"The credits of this payment were given by hand already: {payment.entry_id}")
        topup = TopUp.objects.filter(entry_id=payment.entry_id).first()
        came_as = topup.pk if topup else payment.entry_id
        raise NotToResolve(f"The payment came in meanwhile, as {came_as}: no credits are missing")


def _ids_of(event: StripeEvent) -> list[str]:
    """Return the ids of the payment of an event about a session; [] for other events."""
    if not event.stripe_session_id:
        return []
    return [stripe_id for stripe_id in (event.stripe_session_id, event.payment_intent_id) if stripe_id]


def _close_topup(session_id: str, *, given_to: str) -> None:
    """Mark the open top-up of a session as failed, because staff resolved its payment by hand.

    The top-up may belong to any user. `given_to` is the Misar ID of the user who got the credits; it is "" if
    staff gave no credits.
    """
    waiting = TopUp.objects.locked().filter(stripe_session_id=session_id)
    for topup in waiting.filter(state__in=[TopUp.State.CREATED, TopUp.State.PENDING]):
        elsewhere = given_to not in ("", topup.user_id)
        topup.remark = f"{REMARK} The credits went to {given_to}." if elsewhere else REMARK
        topup.state = TopUp.State.FAILED
        topup.save(update_fields=["state", "remark"])


def was_resolved(session_id: str) -> bool:
    """Return whether staff resolved the payment of this session by hand, with credits or without.

    The result can change at any time, unless the caller has locked the payment (claims.py).
    """
    payment = claims.of_session(session_id)
    if payment is not None:
        return payment.state in (Payment.State.BY_HAND, Payment.State.CLOSED)
    # An older release closed events without a row of their payment.
    closed = StripeEvent.objects.of_session(session_id).filter(state=State.RESOLVED) if session_id else ()
    return any(tells_of_payment(event) for event in closed)


def was_settled_by_hand(topup: TopUp) -> bool:
    """Return whether a top-up is marked as failed only because staff resolved its payment by hand."""
    return topup.state == TopUp.State.FAILED and was_resolved(topup.stripe_session_id or "")
