"""Bring the books to what Stripe says of a payment.

The webhook and reconciliation both use these functions. They may run any number of times, in any order and at
the same time, and the books end the same:

- `settle` credits a paid Checkout Session, once (claims.py). A payment that staff resolved by hand is never
  credited here.
- `follow` compares what is left of a payment, after its refunds and disputes, with the credits that its user
  has from it, and writes the difference. The difference is computed from all that Stripe has reported, so it
  does not matter which report comes first, or which report comes twice.

Locks are taken in the order that claims.py names.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.actors import STRIPE
from foundation import money
from foundation.database.transactions import retried
from wallet import identifiers
from wallet.books import ledger
from wallet.books.models import Entry
from wallet.payments import claims, notices, receipts, reported, resolving
from wallet.payments.models import Payment, StripeEvent, TopUp
from wallet.payments.sessions import Checkout, Parked, is_ours, judge

State = TopUp.State

NOT_PAID = "Stripe has no money yet: it waits for the bank, or the bank refused. Nothing was credited."
RESOLVED = "This payment was resolved by hand before: it is not credited again."
OPEN_STATES = (State.CREATING, State.CREATED, State.PENDING)


@retried
def settle(session: dict[str, Any], *, happened_at: datetime, unpaid: State = State.PENDING) -> str:
    """Update the books to match a session of Stripe. Return a remark for staff, which is usually empty.

    A paid session is credited once, to one wallet. For a session that is not paid, no credits are added; if
    its top-up is still open, the top-up gets the state that `unpaid` gives. Raises Parked if the session
    cannot be credited, if the session is paid and staff resolved its payment by hand, or if a payment that
    was credited failed.
    """
    if session.get("mode") != "payment":
        return "Not a payment: nothing to credit."
    checkout = judge(session)
    status = session.get("payment_status")
    if status == "paid":
        topup, _ = _credit(checkout, happened_at=happened_at)
        return topup.remark
    if status == "no_payment_required":
        unpaid = State.FAILED  # Stripe will never collect money for this session.
    if resolving.was_resolved(checkout.session_id):
        return resolving.REMARK
    with transaction.atomic():
        topup = _topup_of(checkout)
        if topup.state in OPEN_STATES:
            _save(topup, state=unpaid, payment_intent_id=checkout.payment_intent_id)
        elif topup.state == State.PAID and unpaid == State.FAILED:
            raise Parked(f"Stripe says that the payment failed, but its credits came in, as {topup.pk}.")
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
    created_at = datetime.fromtimestamp(session["created"], tz=UTC)
    try:
        if session.get("payment_status") == "paid":
            topup, is_new = _credit(judge(session), happened_at=created_at)
        else:
            unpaid = State.EXPIRED if status == "expired" else State.PENDING
            remark = settle(session, happened_at=created_at, unpaid=unpaid)
            return "Stripe calls it expired." if status == "expired" else remark or NOT_PAID
    except Parked as parked:
        return f"It cannot be credited: {parked}"
    if not is_new:
        return "Stripe calls it paid, and its credits had come in already."
    assert topup.entry is not None
    return f"Stripe calls it paid: {money.credits(topup.entry.credits)} came in. {topup.remark}".strip()


@transaction.atomic
def _credit(checkout: Checkout, *, happened_at: datetime) -> tuple[TopUp, bool]:
    """Credit a paid session, unless that was done before. Return its top-up, and whether it is new.

    Raises Parked if staff resolved the payment by hand.
    """
    assert checkout.paid_cents is not None
    if not claims.of_session(checkout.session_id) and resolving.was_resolved(checkout.session_id):
        raise Parked(RESOLVED)
    entry_id = identifiers.transaction_id()
    payment = _decide(checkout, checkout.session_id, entry_id)
    if payment.state != Payment.State.CREDITED:
        raise Parked(RESOLVED)
    intent = (
        _decide(checkout, checkout.payment_intent_id, payment.entry_id)
        if checkout.payment_intent_id
        else None
    )
    if intent and intent.state != Payment.State.CREDITED:
        raise Parked(RESOLVED)  # Staff decided about another session of the same payment.
    topup = _topup_of(checkout)
    if payment.entry_id != entry_id:
        if intent and not topup.payment_intent_id:
            # The event that credited it did not name its payment intent. Refunds and disputes do.
            _save(topup, payment_intent_id=intent.pk)
        # What was reported of the payment before can count only now that its payment intent is known.
        follow(topup, happened_at=happened_at, cause="Reported before its top-up.")
        return topup, False
    if topup.state == State.PAID:
        raise Parked(f"Our record of the session ({topup.pk}) is paid, but no payment is recorded.")
    entry = ledger.credit(
        id=entry_id,
        user_id=checkout.user_id,
        credits=money.credits_from_cents(checkout.paid_cents),
        kind=Entry.Kind.TOPUP,
        actor=STRIPE,
        product=checkout.product or topup.product,
        stripe_session_id=checkout.session_id,
        effective_at=happened_at,
    )
    _save(
        topup,
        state=State.PAID,
        paid_cents=checkout.paid_cents,
        paid_at=happened_at,
        entry=entry,
        payment_intent_id=checkout.payment_intent_id,
        remark=_what_is_odd(checkout, topup, intent),
    )
    receipts.queue(topup)
    follow(topup, happened_at=happened_at, cause="Reported before its top-up.")
    _name_user_of_earlier_events(topup)
    return topup, True


def _name_user_of_earlier_events(topup: TopUp) -> None:
    """Let the events of refunds and disputes that came before the top-up name its user.

    An event that is locked is handled right now, and gets its user then. To wait for it would be a deadlock,
    because it waits for this payment.
    """
    if topup.payment_intent_id:
        earlier = StripeEvent.objects.filter(payment_intent_id=topup.payment_intent_id, user_id="")
        locked = earlier.select_for_update(skip_locked=True).values_list("pk", flat=True)
        StripeEvent.objects.filter(pk__in=list(locked)).update(user_id=topup.user_id)


def _decide(checkout: Checkout, stripe_id: str, entry_id: str) -> Payment:
    return claims.claim(
        stripe_id,
        session_id=checkout.session_id,
        state=Payment.State.CREDITED,
        user_id=checkout.user_id,
        entry_id=entry_id,
    )


def _what_is_odd(checkout: Checkout, topup: TopUp, intent: Payment | None) -> str:
    """Return what staff should know about a payment that is credited; "" if all is as expected."""
    odd = []
    if topup.amount_cents not in (None, checkout.paid_cents):
        paid, asked_for = money.dollars(checkout.paid_cents or 0), money.dollars(topup.amount_cents or 0)
        odd.append(f"Paid {paid}, asked for {asked_for}.")
    if intent and intent.session_id != checkout.session_id:
        odd.append(f"Its payment {intent.pk} was reported before, for {intent.session_id}.")
    return " ".join(odd)


def follow(topup: TopUp, *, happened_at: datetime, cause: str) -> str:
    """Write the difference between what is left of a paid top-up and the credits its user has from it.

    What is left is the amount paid, less the refunds that did not fail, less what disputes took and did not
    return; never below 0, and cut to whole credits. The caller holds the locks of the payment and the top-up.
    Less than the user has is a clawback, more is a reinstatement, and no difference writes nothing. `cause`
    is kept with the entry for staff. Return a remark for staff: "" if nothing was written. Raises Parked if
    the record of the top-up does not fit its entry, or names another payment intent than was reported.
    """
    entry, session_id = topup.entry, topup.stripe_session_id or ""
    recorded = (topup.user_id, money.credits_from_cents(topup.paid_cents or 0), session_id)
    if entry is None or (entry.wallet_id, entry.credits, entry.stripe_session_id) != recorded:
        raise Parked(f"Our record of the payment ({topup.pk}) does not fit its entry.")
    # The refunds and disputes of the other one would not count, and their credits would be given out again.
    intents = Payment.objects.filter(session_id=session_id).exclude(pk=session_id)
    if other := intents.exclude(pk=topup.payment_intent_id).first():
        raise Parked(f"Our record of the payment ({topup.pk}) does not fit its payment, {other.pk}.")
    credits = money.credits_from_cents(reported.of_topup(topup).left_of(topup.paid_cents or 0))
    difference = credits - Entry.objects.of_payment(user_id=topup.user_id, session_id=session_id)
    if not difference:
        return ""
    move = ledger.reinstate if difference > 0 else ledger.claw_back
    written = move(
        user_id=topup.user_id,
        credits=abs(difference),
        actor=STRIPE,
        product=topup.product,
        stripe_session_id=session_id,
        reason=cause,
        effective_at=happened_at,
    )
    notices.queue(written, topup)
    return f"{'Reinstated' if difference > 0 else 'Took back'} {money.credits(abs(difference))}."


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
