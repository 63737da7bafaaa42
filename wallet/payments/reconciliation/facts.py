"""Compare refunds and disputes of Stripe with what is stored of them, and with the credits of their payments.

Each is compared as Stripe shows it now, so it does not matter which of its events were lost.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from foundation import money
from wallet.payments import reversals, sessions, stripe_lists
from wallet.payments.models import Payment, StripeDispute, StripeRefund
from wallet.payments.reconciliation.findings import Finding, Kind, Task
from wallet.payments.reconciliation.records import OfPayment, OfPayments
from wallet.payments.sessions import Parked, payment_at, text_at

Body = dict[str, Any]

# Staff search for the payment with an earlier --since (docs/checks.md).
NO_TOPUP = "No paid top-up has its payment, so no credits follow it."


@dataclass(frozen=True)
class Difference:
    """How a stored refund or dispute differs from Stripe's. `is_money` is false if only its status does."""

    remark: str
    is_money: bool = True
    kind: Kind = Kind.REVERSAL


def is_ours(body: Body, theirs: OfPayment) -> bool:
    """Return whether a refund or a dispute belongs to a payment for credits."""
    return (
        theirs.topup is not None
        or (theirs.payment is not None and theirs.payment.state != Payment.State.KNOWN)
        or text_at(body, "payment_intent", "metadata", "type") == "wallet_topup"
    )


def compared(fact: "Fact", page: Sequence[Body], task: Task) -> Iterator[Finding]:
    """Compare these refunds or disputes with the books. With `task.applies`, the books follow them."""
    records = OfPayments(payment_at(body) for body in page)
    for body in page:
        theirs = records.of(payment_at(body))
        if not is_ours(body, theirs) or body["id"] in records.resolved or _was_closed(theirs):
            continue
        if any(fact.differences(body, theirs)):
            yield from _different(body["id"], task, fact)


def _different(object_id: str, task: Task, fact: "Fact") -> Iterator[Finding]:
    """Yield the differences of one object, or repair them.

    The page was read some time ago, and the books may have followed a later event. So Stripe is asked again.
    """
    body = stripe_lists.one(fact.kind, object_id)
    task.on_answer()
    if body is None:
        return  # Stripe forgets neither refunds nor disputes.
    theirs = OfPayments([payment_at(body)]).of(payment_at(body))
    found = list(fact.differences(body, theirs))
    if not found or task.is_on_its_way(body["id"], _happened_at(body)):
        return
    if task.applies:
        yield from _repaired(body, theirs, found, fact)
        return
    # When a status changed is not known, so its report may be on its way. No money depends on it.
    for each in found:
        if each.is_money:
            yield _finding(body, theirs, each.kind, each.remark)


def _was_closed(theirs: OfPayment) -> bool:
    """Return whether staff closed the payment without credits: then there is nothing to take back."""
    return theirs.payment is not None and theirs.payment.state == Payment.State.CLOSED


def _repaired(body: Body, theirs: OfPayment, found: Sequence[Difference], fact: "Fact") -> Iterator[Finding]:
    # Whole seconds, like the time of an event: of two reports of one second, the later status counts.
    reported_at = timezone.now().replace(microsecond=0)
    try:
        remark = fact.verb(_with_an_id(body), happened_at=reported_at)
    except Parked as parked:
        yield _finding(body, theirs, Kind.PARKED, str(parked))
        return
    theirs = OfPayments([payment_at(body)]).of(payment_at(body))
    left = list(fact.differences(body, theirs))
    for each in left:
        yield _finding(body, theirs, each.kind, each.remark)
    if not left:
        is_money = any(each.is_money for each in found)
        yield _finding(body, theirs, Kind.FOLLOWED if is_money else Kind.UPDATED, remark)


def _with_an_id(body: Body) -> Body:
    """The object with the id of its payment intent, as events have it."""
    return body | {"payment_intent": payment_at(body)}


def _finding(body: Body, theirs: OfPayment, kind: Kind, remark: str) -> Finding:
    topup, payment = theirs.topup, theirs.payment
    session_id = (topup.stripe_session_id if topup else payment.session_id if payment else "") or ""
    user_id = topup.user_id if topup else payment.user_id if payment else ""
    return Finding(kind, session_id, user_id, body["amount"], remark, stripe_id=body["id"])


def _happened_at(body: Body) -> datetime:
    """Return when the object's money last moved, as far as Stripe says it."""
    moves = [body.get("failure_balance_transaction"), *(body.get("balance_transactions") or ())]
    times = [body["created"], *(move["created"] for move in moves if isinstance(move, dict))]
    return datetime.fromtimestamp(max(times), tz=UTC)


# --- Differences ------------------------------------------------------------------------------------


def _of_refund(body: Body, theirs: OfPayment) -> Iterator[Difference]:
    stored = next((each for each in theirs.reported.refunds if each.pk == body["id"]), None)
    if _is_by_hand(theirs):
        yield Difference(reversals.BY_HAND, kind=Kind.PARKED)
    elif body.get("currency") != "usd":
        yield Difference("It is not in US dollars.", kind=Kind.PARKED)
    elif stored is None:
        yield Difference("It is not in the books.")
    elif stored.amount_cents != body["amount"]:
        yield Difference(f"The books have it with {money.dollars(stored.amount_cents)}.")
    elif stored.has_ended != (body["status"] in StripeRefund.ENDED):
        yield Difference(f"The books have it as {stored.status}, Stripe as {_status(body)}.")
    elif stored.status != _status(body):
        yield Difference("", is_money=False)
    else:
        yield from _of_credits(theirs)


def _of_dispute(body: Body, theirs: OfPayment) -> Iterator[Difference]:
    stored = next((each for each in theirs.reported.disputes if each.pk == body["id"]), None)
    moves = body.get("balance_transactions") or []
    if _is_by_hand(theirs):
        # As long as no money moved, there is nothing for staff to take back.
        if moves:
            yield Difference(reversals.BY_HAND, kind=Kind.PARKED)
        return
    if any(move.get("currency") != "usd" for move in (body, *moves)):
        yield Difference("It is not in US dollars.", kind=Kind.PARKED)
        return
    if stored is None:
        yield Difference("It is not in the books.", is_money=bool(moves))
        return
    at_stripe = {move["id"]: move["amount"] for move in moves}
    if missing := [each for each in at_stripe if each not in stored.movements]:
        yield Difference(f"The books lack its balance transactions {', '.join(missing)}.")
    for move_id, cents in stored.movements.items():
        if move_id not in at_stripe:
            yield Difference(f"Stripe does not know its balance transaction {move_id}.", kind=Kind.ORPHAN)
        elif cents != at_stripe[move_id]:
            yield Difference(
                f"The books have {move_id} with {cents} cents, Stripe with {at_stripe[move_id]}."
            )
    if (stored.status, stored.amount_cents) != (_status(body), body["amount"]):
        yield Difference("", is_money=False)
    if moves:
        yield from _of_credits(theirs)


def _is_by_hand(theirs: OfPayment) -> bool:
    return theirs.payment is not None and theirs.payment.state == Payment.State.BY_HAND


def _status(body: Body) -> str:
    return sessions.text_at(body, "status")[: reversals.STATUS_LENGTH]


def _of_credits(theirs: OfPayment) -> Iterator[Difference]:
    if theirs.topup is None:
        # Stripe calls it a payment of the wallet. A comparison from before the payment says what is wrong.
        yield Difference(NO_TOPUP)
    elif theirs.credits != theirs.credits_due:
        yield Difference(
            f"The user has {money.credits(theirs.credits)} of the payment, "
            f"and should have {money.credits(theirs.credits_due)}."
        )


@dataclass(frozen=True)
class Fact:
    """Refunds or disputes: their list at Stripe, our rows, how one is compared, and what repairs it.

    A row with one of the statuses `final` is asked about only if its money moves again.
    """

    kind: stripe_lists.Kind
    model: type[StripeRefund] | type[StripeDispute]
    final: tuple[str, ...]
    differences: Callable[[Body, OfPayment], Iterator[Difference]]
    verb: Callable[..., str]


REFUNDS = Fact(
    stripe_lists.REFUNDS, StripeRefund, ("succeeded", *StripeRefund.ENDED), _of_refund, reversals.refund
)
DISPUTES = Fact(stripe_lists.DISPUTES, StripeDispute, StripeDispute.CLOSED, _of_dispute, reversals.dispute)
ALL = (REFUNDS, DISPUTES)
