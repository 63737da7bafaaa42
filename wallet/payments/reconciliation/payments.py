"""Compare paid Checkout Sessions of Stripe with their top-ups, entries and rows of payments."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from accounts.misar_ids import is_misar_id
from foundation import money
from wallet.books.models import Entry
from wallet.payments import sessions, settlement
from wallet.payments.models import Payment, TopUp
from wallet.payments.reconciliation.findings import Finding, Kind, Task
from wallet.payments.reconciliation.records import OfSession, OfSessions
from wallet.payments.sessions import Parked, payment_at, text_at

Body = dict[str, Any]
Bend = tuple[Kind, str]


def is_paid_topup(session: Body) -> bool:
    """Return whether Stripe calls a session a paid top-up of this wallet."""
    return (
        sessions.is_ours(session)
        and session.get("mode") == "payment"
        and session.get("payment_status") == "paid"
    )


def compared(page: Sequence[Body], task: Task) -> Iterator[Finding]:
    """Compare these sessions with the books. Sessions that are no paid top-ups are passed over.

    With `task.applies`, payments that were not credited are credited.
    """
    paid = [session for session in page if is_paid_topup(session)]
    records = _records_of(paid)
    for session in paid:
        theirs = records.of(session["id"], payment_at(session))
        if theirs.entries:
            yield from _bends(session, theirs, task)
        elif not theirs.is_resolved:
            yield from _uncredited(session, theirs, task)


def paid_at(session: Body) -> datetime:
    """Return when Stripe took the money of a session, as far as Stripe says it."""
    intent = session.get("payment_intent")
    charge = intent.get("latest_charge") if isinstance(intent, dict) else None
    created = charge["created"] if isinstance(charge, dict) else session["created"]
    return datetime.fromtimestamp(created, tz=UTC)


def _records_of(page: Sequence[Body]) -> OfSessions:
    intents = {payment_at(session) for session in page} - {""}
    # PostgreSQL stores no id that Stripe cannot have; stripe_gateway has refused those.
    return OfSessions({session["id"] for session in page}, intents)


# --- Paid and not credited --------------------------------------------------------------------------


def _uncredited(session: Body, theirs: OfSession, task: Task) -> Iterator[Finding]:
    if task.is_on_its_way(session["id"], paid_at(session)):
        return
    found = _finding(session, theirs)
    if theirs.payment is not None and theirs.payment.state == Payment.State.CREDITED:
        # Credit nothing: the entry was there once, so find out first what removed it.
        yield found(
            Kind.UNCREDITED, f"It was credited as {theirs.payment.entry_id}, which is not in the books."
        )
        return
    try:
        sessions.judge(session)
        if theirs.topup and theirs.topup.user_id != text_at(session, "metadata", "user_id"):
            raise Parked(f"Our record of the session ({theirs.topup.pk}) names another user.")
        if not task.applies:
            yield found(Kind.UNCREDITED)
            return
        created_at = datetime.fromtimestamp(session["created"], tz=UTC)
        yield found(Kind.CREDITED, settlement.settle(session, happened_at=created_at))
    except Parked as parked:
        yield found(Kind.PARKED, str(parked))


def _finding(session: Body, theirs: OfSession) -> Any:
    user_id = text_at(session, "metadata", "user_id")
    if not is_misar_id(user_id):
        user_id = theirs.topup.user_id if theirs.topup else ""  # It may be no text that can be stored.
    amount = session.get("amount_total")
    cents = amount if type(amount) is int else None

    def found(kind: Kind, remark: str = "") -> Finding:
        return Finding(kind, session["id"], user_id, cents, remark, stripe_id=session["id"])

    return found


# --- Credited, and compared field by field ----------------------------------------------------------


def _bends(session: Body, theirs: OfSession, task: Task) -> Iterator[Finding]:
    bends = list(_differences(session, theirs))
    found = _finding(session, theirs)
    if task.applies and _lacks_intent(session, theirs) and not _worse(bends):
        # The event that credited it did not name its payment intent, or the release before this one credited
        # it. The same verb adds it.
        try:
            settlement.settle(session, happened_at=timezone.now())
        except Parked as parked:
            yield found(Kind.PARKED, str(parked))
        again = _records_of([session]).of(session["id"], payment_at(session))
        left = list(_differences(session, again))
        if bends and not left:
            yield found(Kind.UPDATED, "Its payment intent was missing.")
        bends = left
    for kind, remark in bends:
        yield found(kind, remark)


def _lacks_intent(session: Body, theirs: OfSession) -> bool:
    """Return whether the top-up has no payment intent, or its payment intent is not recorded as credited."""
    if theirs.topup is None:
        return False
    named = theirs.topup.payment_intent_id
    return not named or (named == payment_at(session) and _is_undecided(theirs.intent))


def _is_undecided(intent: Payment | None) -> bool:
    return intent is None or intent.state == Payment.State.KNOWN


def _worse(bends: Sequence[Bend]) -> bool:
    return any(kind != Kind.PAYMENT for kind, _ in bends)


def _differences(session: Body, theirs: OfSession) -> Iterator[Bend]:
    """Yield each difference between a paid session and the credits of it."""
    entry = next((each for each in theirs.entries if each.stripe_session_id == session["id"]), None)
    entry = entry or theirs.entries[0]
    for check in (_of_amount, _of_user, _of_currency, _of_payment, _of_state):
        kind, said = check(session, entry, theirs)
        if said:
            yield kind, said


def _of_amount(session: Body, entry: Entry, theirs: OfSession) -> Bend:
    amount = session.get("amount_total")
    if type(amount) is not int:
        return Kind.AMOUNT, "amount_total is not an integer."
    intent, wrong = session.get("payment_intent"), []
    received = intent.get("amount_received") if isinstance(intent, dict) else None
    if received not in (None, amount):
        wrong.append(f"its payment intent received {_dollars(received)}")
    if theirs.topup and theirs.topup.paid_cents != amount:
        wrong.append(f"the top-up has {_dollars(theirs.topup.paid_cents)}")
    if entry.credits != money.credits_from_cents(amount):
        wrong.append(f"the entry has {money.credits(entry.credits)}")
    return Kind.AMOUNT, _sentence(f"Stripe has {_dollars(amount)}", wrong)


def _dollars(cents: Any) -> str:
    return money.dollars(cents) if type(cents) is int else "no amount"


def _of_user(session: Body, entry: Entry, theirs: OfSession) -> Bend:
    user_id = text_at(session, "metadata", "user_id")
    holders = {
        "the entry": entry.wallet_id,
        "the top-up": theirs.topup.user_id if theirs.topup else user_id,
        "the payment's record": theirs.payment.user_id if theirs.payment else user_id,
    }
    wrong = [f"{name} has {holder!a}" for name, holder in holders.items() if holder != user_id]
    shown = ascii(user_id) if is_misar_id(user_id) else "no user"
    return Kind.USER, _sentence(f"Stripe has {shown}", wrong)


def _of_currency(session: Body, entry: Entry, theirs: OfSession) -> Bend:
    currency = text_at(session, "currency")
    return Kind.CURRENCY, "" if currency == "usd" else f"Stripe has {currency[:10]!a}."


def _of_payment(session: Body, entry: Entry, theirs: OfSession) -> Bend:
    intent_id, wrong = payment_at(session), []
    topup, payment, intent = theirs.topup, theirs.payment, theirs.intent
    if entry.stripe_session_id != session["id"]:
        wrong.append(f"the entry names the session {entry.stripe_session_id}")
    if topup and topup.stripe_session_id != session["id"]:
        wrong.append(f"the top-up names the session {topup.stripe_session_id}")
    if topup and topup.payment_intent_id != intent_id:
        wrong.append(f"the top-up names {topup.payment_intent_id or 'no payment intent'}")
    if payment and payment.state != Payment.State.KNOWN and payment.session_id != session["id"]:
        wrong.append(f"the payment is recorded for the session {payment.session_id}")
    if intent_id and _is_undecided(intent):
        wrong.append(f"{intent_id} is not recorded as credited")
    if intent and intent.state != Payment.State.KNOWN and intent.session_id != session["id"]:
        wrong.append(f"{intent_id} is recorded for the session {intent.session_id}")
    return Kind.PAYMENT, _sentence(f"Stripe has {session['id']} with {intent_id or 'no payment'}", wrong)


def _of_state(session: Body, entry: Entry, theirs: OfSession) -> Bend:
    wrong = []
    topup, payment = theirs.topup, theirs.payment
    if topup is None:
        wrong.append("the entry has no top-up")
    elif topup.state != TopUp.State.PAID or topup.entry_id != entry.pk:
        wrong.append(
            f"the top-up is {topup.get_state_display().lower()}, with {topup.entry_id or 'no entry'}"
        )
    if payment is None or payment.state == Payment.State.KNOWN:
        wrong.append("the payment is not recorded as credited")
    elif payment.state != Payment.State.CREDITED or payment.entry_id != entry.pk:
        wrong.append(f"the payment is recorded as {payment.get_state_display().lower()}")
    if len(theirs.entries) > 1:
        wrong.append(f"{len(theirs.entries)} entries credit it")
    return Kind.STATE, _sentence("Stripe has it paid", wrong)


def _sentence(stripe: str, wrong: Sequence[str]) -> str:
    return f"{stripe}; {', '.join(wrong)}." if wrong else ""
