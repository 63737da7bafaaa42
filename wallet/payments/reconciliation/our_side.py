"""Start from the books, and ask Stripe about what it has not listed: credits, refunds, disputes, top-ups.

Our side of a period is found by the times that the database gave, never by times that can be edited. Rows are
told apart by what began them (TopUp.origin), not by the look of an id.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from foundation import money
from foundation.money import CENTS_PER_CREDIT
from wallet.books.models import Entry
from wallet.payments import settlement, stripe_lists
from wallet.payments.models import Payment, StripeDispute, StripeRefund, TopUp
from wallet.payments.reconciliation import facts, payments
from wallet.payments.reconciliation.facts import Fact
from wallet.payments.reconciliation.findings import Finding, Kind, Task
from wallet.payments.reconciliation.records import OfPayment, OfPayments
from wallet.payments.sessions import Parked, is_ours
from wallet.payments.stripe_gateway import is_time

Body = dict[str, Any]
Row = TypeVar("Row", bound=Model)

ROWS_AT_A_TIME = 500
ASKED_AT_A_TIME = 50


def in_parts(rows: QuerySet[Row], *, size: int = ROWS_AT_A_TIME) -> Iterator[list[Row]]:
    """Yield the rows in lists, by primary key. Rows may change meanwhile, and the memory is bounded."""
    last: Any = None
    while part := list((rows.filter(pk__gt=last) if last is not None else rows).order_by("pk")[:size]):
        yield part
        last = part[-1].pk


# --- The entries of a period ------------------------------------------------------------------------


def credits_of(
    first: datetime,
    end: datetime,
    task: Task,
    *,
    listed: Collection[str],
    unknown: Counter[str],
    on_sessions: Callable[[int], None],
) -> Iterator[Finding]:
    """Ask Stripe about each top-up entry written in this period whose session is not in `listed`.

    `listed` has the sessions that this run has compared already. `on_sessions` is called with the number of
    sessions that Stripe was asked about.
    """
    written = Entry.objects.filter(kind=Entry.Kind.TOPUP, created_at__gte=first, created_at__lt=end)
    for part in in_parts(written):
        missing = [entry for entry in part if entry.stripe_session_id not in listed]
        origins = dict(
            TopUp.objects.filter(entry__in=[entry.pk for entry in missing]).values_list("entry_id", "origin")
        )
        ours = []
        for entry in missing:
            origin = origins.get(entry.pk, TopUp.Origin.CHECKOUT)
            if origin == TopUp.Origin.CHECKOUT:
                ours.append(entry)
            else:
                unknown[f"top-ups that began as {origin}"] += 1
        for some in _parts_of(ours):
            on_sessions(len(some))
            yield from _paid_for(some, task)


def _paid_for(entries: Sequence[Entry], task: Task) -> Iterator[Finding]:
    paid = []
    for entry in entries:
        session = stripe_lists.session(entry.stripe_session_id)
        task.on_answer()
        if session is not None and payments.is_paid_topup(session):
            paid.append(session)
            continue
        why = "Stripe knows no such session." if session is None else "Stripe does not call it paid."
        if session is not None and not is_ours(session):
            why = "Stripe does not call it a top-up of the wallet."
        topup = TopUp.objects.filter(entry=entry).first()
        cents = topup.paid_cents if topup else entry.credits * CENTS_PER_CREDIT
        yield Finding(
            Kind.UNPAID,
            entry.stripe_session_id,
            entry.wallet_id,
            cents,
            why if topup else f"{why} {entry.pk} has no top-up.",
            stripe_id=entry.stripe_session_id,
        )
    yield from payments.compared(paid, task)


def moves_of(first: datetime, end: datetime, task: Task, *, listed_from: datetime) -> Iterator[Finding]:
    """Compare what the clawbacks and reinstatements of this period follow.

    A payment without a refund and without a dispute is a finding. Stripe is asked about those made before
    `listed_from`: no list of this run has them. A clawback may also follow what a charge said it refunded,
    without its refunds. Then Stripe is asked for these refunds.
    """
    kinds = [Entry.Kind.CLAWBACK, Entry.Kind.REINSTATEMENT]
    written = Entry.objects.filter(kind__in=kinds, created_at__gte=first, created_at__lt=end)
    for part in in_parts(written):
        session_ids = {entry.stripe_session_id for entry in part}
        intents = dict(
            TopUp.objects.filter(stripe_session_id__in=session_ids).values_list(
                "stripe_session_id", "payment_intent_id"
            )
        )
        records = OfPayments(intents.values())
        for entry in part:
            theirs = records.of(intents.get(entry.stripe_session_id, "")).reported
            if not (theirs.refunds or theirs.disputes or theirs.charge_cents):
                yield Finding(
                    Kind.ORPHAN,
                    entry.stripe_session_id,
                    entry.wallet_id,
                    abs(entry.credits) * CENTS_PER_CREDIT,
                    f"The {entry.get_kind_display().lower()} {entry.pk} has no refund and no dispute.",
                    stripe_id=entry.pk,
                )
        for session_id, intent_id in intents.items():
            of_intent = records.of(intent_id)
            told = of_intent.reported
            for fact, rows in ((facts.REFUNDS, told.refunds), (facts.DISPUTES, told.disputes)):
                yield from _asked(fact, [row for row in rows if row.created_at < listed_from], task)
            yield from _refunds_of_charge(session_id or "", intent_id, of_intent, task)


def _refunds_of_charge(session_id: str, intent_id: str, theirs: OfPayment, task: Task) -> Iterator[Finding]:
    """Yield a finding if our record of a charge has more refunds than Stripe."""
    charge_cents = theirs.reported.charge_cents
    if charge_cents <= theirs.reported.stored_cents:
        return
    at_stripe = sum(refund["amount"] for refund in stripe_lists.refunds_of_payment(intent_id))
    task.on_answer()
    if charge_cents > at_stripe:
        more = charge_cents - at_stripe
        yield Finding(
            Kind.ORPHAN,
            session_id,
            theirs.topup.user_id if theirs.topup else "",
            more,
            f"The books have {money.dollars(more)} more refunded by its charge than Stripe.",
            stripe_id=intent_id,
        )


# --- Stored refunds and disputes --------------------------------------------------------------------


def stored_facts(
    fact: Fact, first: datetime, end: datetime, task: Task, *, listed: Collection[str]
) -> Iterator[Finding]:
    """Ask Stripe about each stored refund or dispute made in this period that is not in `listed`."""
    for part in in_parts(fact.model.objects.filter(created_at__gte=first, created_at__lt=end)):
        yield from _asked(fact, [row for row in part if row.pk not in listed], task)


def open_facts(fact: Fact, before: datetime, task: Task) -> Iterator[Finding]:
    """Ask Stripe about each refund or dispute made before this time that is not final yet."""
    not_final = fact.model.objects.filter(created_at__lt=before).exclude(status__in=fact.final)
    for part in in_parts(not_final, size=ASKED_AT_A_TIME):
        yield from _asked(fact, part, task)


def _asked(fact: Fact, rows: Sequence[Any], task: Task) -> Iterator[Finding]:
    bodies = {}
    for row in rows:
        bodies[row.pk] = stripe_lists.one(fact.kind, row.pk)
        task.on_answer()
    yield from _orphans([row for row in rows if bodies[row.pk] is None])
    yield from facts.compared(fact, [body for body in bodies.values() if body is not None], task)


def _orphans(rows: Sequence[StripeRefund | StripeDispute]) -> Iterator[Finding]:
    payments_of = Payment.objects.in_bulk([row.payment_intent_id for row in rows])
    for row in rows:
        payment = payments_of.get(row.payment_intent_id)
        yield Finding(
            Kind.ORPHAN,
            payment.session_id if payment else "",
            payment.user_id if payment else "",
            row.amount_cents,
            f"Stripe knows no such {row._meta.verbose_name_raw.removeprefix('Stripe ')}.",
            stripe_id=row.pk,
        )


# --- Open top-ups -----------------------------------------------------------------------------------


def open_topups(
    task: Task, *, listed_from: datetime, on_sessions: Callable[[int], None]
) -> Iterator[Finding]:
    """Ask Stripe about each top-up that may still be paid, of any age. Compare its payment and its state.

    Paid sessions created since `listed_from` were in the lists of this run.
    """
    waiting = TopUp.objects.unsettled().filter(origin=TopUp.Origin.CHECKOUT).exclude(stripe_session_id=None)
    for part in in_parts(waiting, size=ASKED_AT_A_TIME):
        on_sessions(len(part))
        paid = []
        for topup in part:
            session = stripe_lists.session(topup.stripe_session_id or "")
            task.on_answer()
            if session is None:
                yield _of_state(topup, Kind.STATE, "Stripe knows no such session.")
            elif not payments.is_paid_topup(session):
                yield from _unpaid(topup, session, task)
            elif task.applies or session["created"] < listed_from.timestamp():
                paid.append(session)
        yield from payments.compared(paid, task)


def _unpaid(topup: TopUp, session: Body, task: Task) -> Iterator[Finding]:
    """Compare the state of an open top-up with its session, which is not paid."""
    if not is_ours(session) or session.get("mode") != "payment":
        yield _of_state(topup, Kind.STATE, "Stripe does not call it a top-up of the wallet.")
        return
    state, since = _state_at_stripe(session)
    if state in (None, topup.state) or task.is_on_its_way(session["id"], since):
        return
    assert state is not None
    if task.applies:
        try:
            settlement.settle(session, happened_at=timezone.now(), unpaid=state)
        except Parked as parked:
            yield _of_state(topup, Kind.PARKED, str(parked))
            return
        yield _of_state(topup, Kind.UPDATED, f"It is {state.label.lower()}.")
    elif since is not None:
        yield _of_state(
            topup,
            Kind.STATE,
            f"Stripe: {state.label.lower()}; the books: {topup.get_state_display().lower()}.",
        )


def _state_at_stripe(session: Body) -> tuple[TopUp.State | None, datetime | None]:
    """Return the state that a session gives its top-up, and since when, if that is known.

    The state is None if the session gives none: the user may still pay.
    """
    status, intent = session.get("status"), session.get("payment_intent")
    if status == "expired":
        ended = session.get("expires_at")
        return TopUp.State.EXPIRED, _moment(ended if is_time(ended) else session["created"])
    if status != "complete":
        return None, None
    if session.get("payment_status") == "no_payment_required":
        return TopUp.State.FAILED, _moment(session["created"])
    # After the form was completed, the user cannot try again: the bank refused a delayed payment.
    if isinstance(intent, dict) and intent.get("status") in ("requires_payment_method", "canceled"):
        return TopUp.State.FAILED, None
    began = intent.get("created") if isinstance(intent, dict) else None
    return TopUp.State.PENDING, _moment(began if is_time(began) else session["created"])


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _of_state(topup: TopUp, kind: Kind, remark: str) -> Finding:
    session_id = topup.stripe_session_id or ""
    return Finding(kind, session_id, topup.user_id, topup.amount_cents, remark, stripe_id=session_id)


def _parts_of(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), ASKED_AT_A_TIME):
        yield entries[start : start + ASKED_AT_A_TIME]
