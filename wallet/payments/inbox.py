"""The inbox of Stripe's events: verify each event, store it, then handle it.

One transaction stores the event. A second transaction handles it and sets `handled_at`. If the second
transaction fails, the traceback is stored and the answer is 503. Stripe then delivers the event again, and
staff can replay it. A Checkout Session is credited only once, even if several events report it. An event that
cannot be handled automatically is parked, and staff resolve it by hand (settlement.py).
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
from foundation.database.transactions import is_out_of_reach, retried
from wallet.errors import EventFailed, UnreadableEvent
from wallet.payments import handlers, sessions, stripe_gateway
from wallet.payments.models import StripeEvent, TopUp
from wallet.payments.sessions import Parked, text_at

logger = logging.getLogger(__name__)

State = StripeEvent.State

# Staff may replay events in these states. An ignored event is not ours, so it needs no handling. Earlier
# releases kept events of refunds and disputes without handling them.
REPLAYABLE = (State.WAITING, State.PARKED, State.HANDLED, State.KEPT)


def receive(body: bytes, signature: str) -> StripeEvent:
    """Verify, store and handle one event that Stripe has delivered.

    Raises BadSignature or UnreadableEvent; the event is then not stored. Raises EventFailed if the event is
    stored but could not be handled.
    """
    event = stripe_gateway.verified_event(body, signature)
    stored = _store(event, body)
    if stored.state == State.WAITING:
        handle(stored)
    return stored


def handle(stored: StripeEvent) -> None:
    """Handle a stored event. It is safe to call this again for the same event.

    An event that staff resolved by hand is not changed. Raises EventFailed if an error stops the handling.
    """
    try:
        _bring_about(stored)
    except Exception as error:
        # Raise EventFailed for every error: the answer is then 503, and Stripe delivers the event again.
        if not is_out_of_reach(error):
            logger.error("Event %s could not be handled", stored.pk, exc_info=error)
        _note_failure(stored)
        raise EventFailed from error


@retried
@transaction.atomic
def _bring_about(stored: StripeEvent) -> None:
    """Handle the event and update its state, in one transaction."""
    current = StripeEvent.objects.select_for_update().get(pk=stored.pk)
    if current.state == State.RESOLVED:
        stored.refresh_from_db()
        return
    state, remark = _effect(json.loads(current.payload))
    _close(stored, state, remark)


def _effect(event: dict[str, Any]) -> tuple[State, str]:
    """Handle an event. Return its new state, and a remark for staff."""
    about = event["data"]["object"]
    if event.get("account"):
        return State.PARKED, "It belongs to a connected account."
    if event.get("context"):
        return State.PARKED, "It belongs to another account of the organisation (context)."
    if "livemode" in event:
        if about.get("livemode", event["livemode"]) != event["livemode"]:
            return State.PARKED, "The event and its object differ in livemode."
        about = about | {"livemode": event["livemode"]}
    try:
        # This savepoint rolls back the changes of a handler that raises Parked. The event's new state is
        # still saved.
        with transaction.atomic():
            remark = handlers.HANDLERS[event["type"]](about, happened_at=_created_at(event))
    except Parked as parked:
        logger.error("Stripe event %s is parked: %s", event["id"], parked)
        return State.PARKED, str(parked)
    return State.HANDLED, remark


def _store(event: dict[str, Any], body: bytes) -> StripeEvent:
    """Store an event, unless an earlier delivery did, and return its row. Raises UnreadableEvent."""
    event_id, event_type = text_at(event, "id"), text_at(event, "type")
    for value in (event_id, event_type):
        if not sessions.is_plain(value):
            raise UnreadableEvent
    state = _first_state(event, event_type)
    # Of an event that is not ours, only the id, the type and the `stripe_session_id` are stored.
    kept: Any = {} if state == State.IGNORED else event
    session_id = text_at(event, "data", "object", "id") if event_type in handlers.OF_SESSIONS else ""
    user_id = text_at(kept, "data", "object", "metadata", "user_id")
    fresh = StripeEvent(
        id=event_id,
        type=event_type,
        state=state,
        payload=body.decode() if kept else "",
        stripe_session_id=sessions.plain_or_nothing(session_id),
        payment_intent_id=sessions.payment_at(kept, "data", "object"),
        user_id=user_id if is_misar_id(user_id) else "",
        handled_at=timezone.now() if state == State.IGNORED else None,
    )
    StripeEvent.objects.bulk_create([fresh], ignore_conflicts=True)
    return StripeEvent.objects.get(pk=event_id)


def _first_state(event: dict[str, Any], event_type: str) -> State:
    """Return WAITING if the event is for us to handle. Only a session says by itself whether it is ours."""
    data = event.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if not isinstance(about, dict):
        return State.IGNORED
    ours = event_type in handlers.OF_REVERSALS or (
        event_type in handlers.OF_SESSIONS and sessions.is_ours(about)
    )
    return State.WAITING if ours else State.IGNORED


def _close(stored: StripeEvent, state: State, remark: str) -> None:
    StripeEvent.objects.filter(pk=stored.pk).update(
        **_whom_it_concerns(stored),
        state=state,
        remark=remark,
        traceback="",
        tries=F("tries") + 1,
        handled_at=timezone.now() if state == State.HANDLED else None,
    )
    stored.refresh_from_db()


def _whom_it_concerns(stored: StripeEvent) -> dict[str, str]:
    """Return the user of an event about a refund or a dispute, for the lists of the back-office."""
    if stored.user_id or not stored.payment_intent_id:
        return {}
    topup = TopUp.objects.filter(payment_intent_id=stored.payment_intent_id).first()
    return {"user_id": topup.user_id} if topup else {}


def _note_failure(stored: StripeEvent) -> None:
    """Store the traceback. If this fails too, only log a warning, because the answer must be 503."""
    try:
        StripeEvent.objects.filter(pk=stored.pk).exclude(state=State.RESOLVED).update(
            traceback=traceback.format_exc().replace("\0", ""), tries=F("tries") + 1
        )
    except Exception as error:
        logger.warning("The failure of %s could not be noted: %s", stored.pk, type(error).__name__)


def _created_at(event: dict[str, Any]) -> datetime:
    """Return the time when Stripe created the event; the current time if the event has no valid time."""
    created = event.get("created")
    return datetime.fromtimestamp(created, tz=UTC) if stripe_gateway.is_time(created) else timezone.now()
