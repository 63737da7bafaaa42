"""The inbox: verify, store, then handle.

An event is stored in a transaction of its own, its effect and `handled_at` are a second. If the effect
fails the traceback is kept and the answer is 503: Stripe delivers again, and staff can replay. The effect
is unique by its own fact, the Checkout Session, never by the event. What can have no effect is parked, and
staff resolve it by hand.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.misar_ids import is_misar_id
from foundation import money
from foundation.database.transactions import is_out_of_reach, retried
from wallet import ledger, stripe_gateway, topups
from wallet.errors import EventFailed, NotToResolve, UnreadableEvent
from wallet.models import STRIPE_ID_LENGTH, Entry, StripeEvent, TopUp
from wallet.stripe_gateway import text_at
from wallet.topups import Parked

logger = logging.getLogger(__name__)

State = StripeEvent.State

# Which event says what of a Checkout Session: the state an unpaid one leads to.
CHECKOUT_EVENTS: dict[str, TopUp.State] = {
    "checkout.session.completed": TopUp.State.PENDING,
    "checkout.session.async_payment_succeeded": TopUp.State.PENDING,
    "checkout.session.async_payment_failed": TopUp.State.FAILED,
    "checkout.session.expired": TopUp.State.EXPIRED,
}
# What staff may have handled again. Of an event that is not ours there is nothing to handle.
REPLAYABLE = (State.WAITING, State.PARKED, State.HANDLED)
# Kept whole for the settlement of refunds and disputes, which does not exist yet.
KEPT_PREFIXES = ("charge.refund", "charge.dispute.", "refund.")


def receive(body: bytes, signature: str) -> StripeEvent:
    """Take in one delivery. Raises BadSignature, UnreadableEvent, or EventFailed once it is stored."""
    event = stripe_gateway.verified_event(body, signature)
    stored = _store(event, body)
    if stored.state == State.WAITING:
        handle(stored)
    return stored


def handle(stored: StripeEvent) -> None:
    """Bring about the effect of a stored event; again is harmless. Raises EventFailed where it fails.

    One that staff resolved by hand stays as it is.
    """
    try:
        _bring_about(stored)
    except Exception as error:
        # Whatever went wrong, the event is safe and Stripe must come again.
        if not is_out_of_reach(error):
            logger.error("Event %s could not be handled", stored.pk, exc_info=error)
        _note_failure(stored)
        raise EventFailed from error


@retried
@transaction.atomic
def _bring_about(stored: StripeEvent) -> None:
    """The second transaction: the effect, and that it is done."""
    topups.hold(stored.stripe_session_id)
    current = StripeEvent.objects.select_for_update().get(pk=stored.pk)
    if current.state == State.RESOLVED:
        stored.refresh_from_db()
        return
    state, remark = _effect(json.loads(current.payload))
    _close(stored, state, remark)


def is_resolvable(event: StripeEvent) -> bool:
    """Whether staff may close it by hand: it is parked, or its effect failed."""
    return event.state == State.PARKED or (event.state == State.WAITING and event.tries > 0)


@retried
@transaction.atomic
def resolve(
    event: StripeEvent, *, user_id: str = "", credits: int | None = None, reason: str, key: str, actor: str
) -> StripeEvent:
    """Close an event that has no effect by itself, as staff decided, and give its credits where they say so.

    With credits (at least 1, to the Misar ID `user_id`) an adjustment that names the session is written in
    the same transaction. Where the event tells of a payment, nothing else will ever credit that payment.
    Raises NotToResolve where the event is neither parked nor failed, and for credits where the payment came
    in meanwhile or was given by hand already.
    """
    assert credits is None or (credits > 0 and is_misar_id(user_id)), "the form has refused anything else"
    session_id = event.stripe_session_id
    topups.hold(session_id)
    stored = StripeEvent.objects.select_for_update().get(pk=event.pk)
    if not is_resolvable(stored):
        raise NotToResolve(f"This event is {stored.get_state_display().lower()}: there is nothing to resolve")
    if credits is not None:
        _require_not_given(session_id)
    # Before the wallet, as everybody locks them.
    if session_id and (credits is not None or topups.tells_of_payment(stored)):
        topups.close_resolved(session_id, given_to=user_id if credits is not None else "")
    how = "Resolved by hand"
    if credits is not None:
        ledger.adjust(
            user_id=user_id,
            credits=credits,
            reason=reason,
            key=key,
            actor=actor,
            stripe_session_id=session_id,
        )
        how += f", with {money.credits(credits)} for {user_id}"
    stored.state, stored.handled_at = State.RESOLVED, timezone.now()
    stored.remark = f"{stored.remark} {how}: {reason}".strip()
    stored.user_id = stored.user_id or user_id  # From now on it is this user's affair.
    stored.save(update_fields=["state", "handled_at", "remark", "user_id"])
    return stored


def _require_not_given(session_id: str) -> None:
    """The credits of a payment are given once, whoever gives them."""
    if not session_id:
        return
    if paid := TopUp.objects.filter(stripe_session_id=session_id, state=TopUp.State.PAID).first():
        raise NotToResolve(f"The payment came in meanwhile, as {paid.pk}: no credits are missing")
    given = Entry.objects.filter(stripe_session_id=session_id, kind=Entry.Kind.ADJUSTMENT).first()
    if given:
        raise NotToResolve(f"The credits of this payment were given by hand already: {given.pk}")


def _effect(event: dict[str, Any]) -> tuple[State, str]:
    """What an event did: the state to close it with, and a remark."""
    session = event["data"]["object"]
    if event.get("account"):
        return State.PARKED, "It belongs to a connected account."
    if "livemode" in event:
        if session.get("livemode", event["livemode"]) != event["livemode"]:
            return State.PARKED, "The event and its session differ in livemode."
        session = session | {"livemode": event["livemode"]}
    try:
        # A savepoint: what a parked event had begun is undone, and the event still closed.
        with transaction.atomic():
            remark = topups.settle(
                session, happened_at=_created_at(event), unpaid=CHECKOUT_EVENTS[event["type"]]
            )
    except Parked as parked:
        logger.error("Stripe event %s is parked: %s", event["id"], parked)
        return State.PARKED, str(parked)
    return State.HANDLED, remark


def _store(event: dict[str, Any], body: bytes) -> StripeEvent:
    """The stored event: this delivery's, or the one an earlier delivery left."""
    event_id, event_type = text_at(event, "id"), text_at(event, "type")
    for value in (event_id, event_type):
        if not (1 <= len(value) <= STRIPE_ID_LENGTH and value.isprintable()):
            raise UnreadableEvent
    state = _first_state(event, event_type)
    # Of events that are not ours only id and type are kept.
    told: Any = {} if state == State.IGNORED else event
    session_id = text_at(event, "data", "object", "id") if event_type in CHECKOUT_EVENTS else ""
    user_id = text_at(told, "data", "object", "metadata", "user_id")
    fresh = StripeEvent(
        id=event_id,
        type=event_type,
        state=state,
        payload=body.decode() if told else "",
        stripe_session_id=topups.plain_or_nothing(session_id),
        payment_intent_id=topups.plain_or_nothing(text_at(told, "data", "object", "payment_intent")),
        user_id=user_id if is_misar_id(user_id) else "",
        handled_at=timezone.now() if state == State.IGNORED else None,
    )
    StripeEvent.objects.bulk_create([fresh], ignore_conflicts=True)
    return StripeEvent.objects.get(pk=event_id)


def _first_state(event: dict[str, Any], event_type: str) -> State:
    if event_type.startswith(KEPT_PREFIXES):
        return State.KEPT
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if event_type in CHECKOUT_EVENTS and isinstance(subject, dict) and topups.is_ours(subject):
        return State.WAITING
    return State.IGNORED


def _close(stored: StripeEvent, state: State, remark: str) -> None:
    StripeEvent.objects.filter(pk=stored.pk).update(
        state=state,
        remark=remark,
        traceback="",
        tries=F("tries") + 1,
        handled_at=timezone.now() if state == State.HANDLED else None,
    )
    stored.refresh_from_db()


def _note_failure(stored: StripeEvent) -> None:
    """Keep why it failed; where even that fails, the 503 alone has to do."""
    try:
        StripeEvent.objects.filter(pk=stored.pk).exclude(state=State.RESOLVED).update(
            traceback=traceback.format_exc().replace("\0", ""), tries=F("tries") + 1
        )
    except Exception as error:
        logger.warning("The failure of %s could not be noted: %s", stored.pk, type(error).__name__)


def _created_at(event: dict[str, Any]) -> datetime:
    """When it happened at Stripe; now, where the event does not say."""
    created = event.get("created")
    if type(created) is int and 0 < created < 32_503_680_000:  # Up to the year 3000.
        return datetime.fromtimestamp(created, tz=UTC)
    return timezone.now()
