"""Credit paid Checkout Sessions of Stripe in the books.

The webhook and reconciliation both call `settle`. It may run many times for one session, also at the same
time, but it credits the session only once. A payment that staff resolved by hand (`resolve`) is never
credited here.

Transactions take locks in this order: the Checkout Session (`lock_checkout`), its event, its top-up, the
wallet.
"""

import logging
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.actors import STRIPE
from accounts.misar_ids import is_misar_id
from foundation import money
from foundation.database.transactions import retried
from wallet.books import ledger
from wallet.books.models import Entry
from wallet.errors import NotToResolve
from wallet.payments import receipts
from wallet.payments.models import StripeEvent, TopUp
from wallet.payments.sessions import Checkout, Parked, is_ours, judge, tells_of_payment, text_at

logger = logging.getLogger(__name__)

State = TopUp.State

NOT_PAID = "Stripe has no money yet: it waits for the bank, or the bank refused. Nothing was credited."
RESOLVED_REMARK = "Its payment was resolved by hand."


@retried
def settle(session: dict[str, Any], *, happened_at: datetime, unpaid: State = State.PENDING) -> str:
    """Update the books to match a session of Stripe. Return a remark for staff, which is usually empty.

    A paid session is credited once, to one wallet. For a session that is not paid, no credits are added; if
    its top-up is still open, the top-up gets the state that `unpaid` gives. Raises Parked if the session
    cannot be credited, or if the session is paid and staff resolved its payment by hand.
    """
    if session.get("mode") != "payment":
        return "Not a payment: nothing to credit."
    checkout = judge(session)
    status = session.get("payment_status")
    if status == "paid":
        return _credit(checkout, happened_at=happened_at)
    if status == "no_payment_required":
        unpaid = State.FAILED  # Stripe will never collect money for this session.
    with transaction.atomic():
        lock_checkout(checkout.session_id)
        if was_resolved(checkout.session_id):
            return RESOLVED_REMARK
        topup = _topup_of(checkout)
        if topup.state in (State.CREATING, State.CREATED, State.PENDING):
            _save(topup, state=unpaid, payment_intent_id=checkout.payment_intent_id)
    return "" if status == "unpaid" else "No money came with it: nothing to credit."


@retried
@transaction.atomic
def settle_as_told(session: dict[str, Any]) -> str:
    """Update the books to match a session just fetched from Stripe. Return the result as a sentence."""
    if not is_ours(session) or session.get("mode") != "payment":
        return "Stripe does not call this a top-up of the wallet; nothing was changed."
    status = session.get("status")
    if status == "open":
        return "Stripe still waits for the user to pay; nothing was changed."
    session_id = text_at(session, "id")
    lock_checkout(session_id)
    credited = TopUp.objects.filter(stripe_session_id=session_id, state=State.PAID)
    was_credited = credited.exists()
    created_at = datetime.fromtimestamp(session["created"], tz=UTC)
    unpaid = State.EXPIRED if status == "expired" else State.PENDING
    try:
        remark = settle(session, happened_at=created_at, unpaid=unpaid)
    except Parked as parked:
        return f"It cannot be credited: {parked}"
    if session.get("payment_status") != "paid":
        return "Stripe calls it expired." if status == "expired" else remark or NOT_PAID
    if was_credited:
        return "Stripe calls it paid, and its credits had come in already."
    entry = Entry.objects.get(topup__in=credited)
    return f"Stripe calls it paid: {money.credits(entry.credits)} came in. {remark}".strip()


@transaction.atomic
def _credit(checkout: Checkout, *, happened_at: datetime) -> str:
    paid_cents = checkout.paid_cents
    assert paid_cents is not None
    lock_checkout(checkout.session_id)
    topup = _topup_of(checkout)
    if topup.state == State.PAID:
        return topup.remark
    if was_resolved(checkout.session_id):
        raise Parked("This payment was resolved by hand before: it is not credited again.")
    entry = ledger.credit(
        user_id=checkout.user_id,
        credits=money.credits_from_cents(paid_cents),
        kind=Entry.Kind.TOPUP,
        actor=STRIPE,
        product=checkout.product or topup.product,
        stripe_session_id=checkout.session_id,
        effective_at=happened_at,
    )
    remark = ""
    if topup.amount_cents not in (None, paid_cents):
        remark = f"Paid {money.dollars(paid_cents)}, asked for {money.dollars(topup.amount_cents or 0)}."
    _save(
        topup,
        state=State.PAID,
        paid_cents=paid_cents,
        paid_at=happened_at,
        entry=entry,
        payment_intent_id=checkout.payment_intent_id,
        remark=remark,
    )
    receipts.queue(topup)
    return remark


def lock_checkout(session_id: str) -> None:
    """Lock a Checkout Session until the caller's transaction ends. If the id is "", nothing is locked.

    A transaction takes this lock before it credits a session or resolves it by hand. It is an advisory lock,
    because there may be no row to lock: reconciliation may credit a session without an event and a top-up.
    """
    if session_id:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"checkout {session_id}"]
            )


def was_resolved(session_id: str) -> bool:
    """Return whether staff resolved the payment of this session by hand.

    Staff resolve a payment when they give its credits or close its event. The result can change at any time,
    unless the caller has locked the session.
    """
    given = Entry.objects.filter(stripe_session_id=session_id, kind=Entry.Kind.ADJUSTMENT)
    if not session_id or given.exists():
        return bool(session_id)
    closed = StripeEvent.objects.of_session(session_id).filter(state=StripeEvent.State.RESOLVED)
    return any(tells_of_payment(event) for event in closed)


def close_resolved(session_id: str, *, given_to: str = "") -> None:
    """Mark the open top-up of a session as failed, because staff resolved its payment by hand.

    The top-up may belong to any user. `given_to` is the Misar ID of the user who got the credits; it is "" if
    staff gave no credits.
    """
    waiting = TopUp.objects.locked().filter(stripe_session_id=session_id)
    for topup in waiting.filter(state__in=[State.CREATED, State.PENDING]):
        elsewhere = given_to not in ("", topup.user_id)
        remark = f"{RESOLVED_REMARK} The credits went to {given_to}." if elsewhere else RESOLVED_REMARK
        _save(topup, state=State.FAILED, remark=remark)


def was_settled_by_hand(topup: TopUp) -> bool:
    """Return whether a top-up is marked as failed only because staff resolved its payment by hand."""
    return topup.state == State.FAILED and was_resolved(topup.stripe_session_id or "")


def _topup_of(checkout: Checkout) -> TopUp:
    """Return the top-up of a session, locked. If there is none, create it.

    Raises Parked if the top-up belongs to another user.
    """
    topup = TopUp.objects.locked().filter(stripe_session_id=checkout.session_id).first()
    if topup is None:
        topup = _claim(checkout) or _make(checkout)
    if topup.user_id != checkout.user_id:
        raise Parked(f"Our record of the session ({topup.pk}) names another user.")
    return topup


def _claim(checkout: Checkout) -> TopUp | None:
    """Return the top-up that the session names, if the top-up has no session yet; otherwise None.

    Such a top-up exists if the request that opened the session has not saved the session's id. This function
    saves the id if the top-up belongs to the user of the session.
    """
    topup = TopUp.objects.locked().filter(pk=checkout.topup_id, stripe_session_id=None).first()
    if topup and topup.user_id == checkout.user_id:
        _save(topup, stripe_session_id=checkout.session_id)
    return topup


def _make(checkout: Checkout) -> TopUp:
    topup = TopUp(
        user_id=checkout.user_id,
        product=checkout.product,
        state=State.CREATED,
        stripe_session_id=checkout.session_id,
        livemode=checkout.livemode,
        created_at=timezone.now(),
    )
    # If another process creates the top-up of this session at the same time, use that row.
    TopUp.objects.bulk_create([topup], ignore_conflicts=True)
    return TopUp.objects.locked().get(stripe_session_id=checkout.session_id)


def _save(topup: TopUp, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(topup, name, value)
    topup.save(update_fields=list(changes))


# --- Resolving by hand --------------------------------------------------------------------------------


def is_resolvable(event: StripeEvent) -> bool:
    """Return whether staff may resolve an event by hand: it is parked, or handling it has failed."""
    return event.state == StripeEvent.State.PARKED or (
        event.state == StripeEvent.State.WAITING and event.tries > 0
    )


@retried
@transaction.atomic
def resolve(
    event: StripeEvent, *, user_id: str = "", credits: int | None = None, reason: str, key: str, actor: str
) -> StripeEvent:
    """Close a parked or failed event by a decision of staff. With `credits`, also give credits to a user.

    `credits` is at least 1, and `user_id` is the Misar ID of the user who gets them. The adjustment names the
    session and is written in the same transaction. If the event reports a payment, no process will credit
    this payment later. Raises NotToResolve if the event is neither parked nor failed. If `credits` is set,
    also raises NotToResolve if the payment has already been credited, automatically or by hand.
    """
    assert credits is None or (credits > 0 and is_misar_id(user_id)), "the form has refused anything else"
    session_id = event.stripe_session_id
    lock_checkout(session_id)
    stored = StripeEvent.objects.select_for_update().get(pk=event.pk)
    if not is_resolvable(stored):
        raise NotToResolve(f"This event is {stored.get_state_display().lower()}: there is nothing to resolve")
    if credits is not None:
        _require_not_given(session_id)
    # Lock the top-up before the wallet (see the order of locks above).
    if session_id and (credits is not None or tells_of_payment(stored)):
        close_resolved(session_id, given_to=user_id if credits is not None else "")
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
    stored.state, stored.handled_at = StripeEvent.State.RESOLVED, timezone.now()
    stored.remark = f"{stored.remark} {how}: {reason}".strip()
    stored.user_id = stored.user_id or user_id  # The back-office then lists the event on this user's page.
    stored.save(update_fields=["state", "handled_at", "remark", "user_id"])
    return stored


def _require_not_given(session_id: str) -> None:
    """Raise NotToResolve if this payment has already been credited, automatically or by hand."""
    if not session_id:
        return
    if paid := TopUp.objects.filter(stripe_session_id=session_id, state=TopUp.State.PAID).first():
        raise NotToResolve(f"The payment came in meanwhile, as {paid.pk}: no credits are missing")
    given = Entry.objects.filter(stripe_session_id=session_id, kind=Entry.Kind.ADJUSTMENT).first()
    if given:
        raise NotToResolve(f"The credits of this payment were given by hand already: {given.pk}")
