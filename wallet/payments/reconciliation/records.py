"""Our records of a page of Stripe's objects, read in a few queries for the whole page."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Q, Sum

from foundation import money
from wallet.books.models import PAYMENT_KINDS, Entry
from wallet.payments import handlers, reported, sessions
from wallet.payments.models import Payment, StripeEvent, TopUp
from wallet.payments.reported import Reported


@dataclass(frozen=True)
class OfSession:
    """What the books say of one Checkout Session."""

    entries: list[Entry] = field(default_factory=list)
    topup: TopUp | None = None
    payment: Payment | None = None
    intent: Payment | None = None
    is_resolved: bool = False


class OfSessions:
    """What the books say of the Checkout Sessions of a page."""

    def __init__(self, session_ids: Collection[str], intent_ids: Collection[str]) -> None:
        self._payments = Payment.objects.in_bulk({*session_ids, *intent_ids})
        entry_ids = [payment.entry_id for payment in self._payments.values() if payment.entry_id]
        entries = Entry.objects.filter(kind=Entry.Kind.TOPUP)
        found = {
            entry.pk: entry
            for entry in entries.filter(Q(stripe_session_id__in=session_ids) | Q(pk__in=entry_ids))
        }
        topups = TopUp.objects.filter(Q(stripe_session_id__in=session_ids) | Q(entry__in=list(found)))
        self._topups = list(topups)
        # The entry of a top-up whose session was changed in the entry.
        missing = [topup.entry_id for topup in self._topups if topup.entry_id not in found]
        found |= entries.in_bulk([entry_id for entry_id in missing if entry_id])
        self._entries = list(found.values())
        self._resolved = _resolved_sessions(session_ids)

    def of(self, session_id: str, intent_id: str) -> OfSession:
        """Return the records of one session of the page."""
        payment = self._payments.get(session_id)
        topup = next((each for each in self._topups if each.stripe_session_id == session_id), None)
        entry_ids = {topup.entry_id if topup else None, payment.entry_id if payment else None} - {None, ""}
        entries = [
            each for each in self._entries if each.stripe_session_id == session_id or each.pk in entry_ids
        ]
        if topup is None:
            ids = {entry.pk for entry in entries}
            topup = next((each for each in self._topups if each.entry_id in ids), None)
        if payment is not None and payment.state != Payment.State.KNOWN:
            by_hand = payment.state in (Payment.State.BY_HAND, Payment.State.CLOSED)
        else:
            by_hand = session_id in self._resolved
        return OfSession(
            entries=entries,
            topup=topup,
            payment=payment,
            intent=self._payments.get(intent_id) if intent_id else None,
            is_resolved=by_hand,
        )


def _resolved_sessions(session_ids: Collection[str]) -> set[str]:
    """Return the sessions whose payment staff resolved with the release before, which knows no Payment."""
    closed = StripeEvent.objects.filter(stripe_session_id__in=session_ids, state=StripeEvent.State.RESOLVED)
    return {event.stripe_session_id for event in closed if sessions.tells_of_payment(event)}


@dataclass(frozen=True)
class OfPayment:
    """What the books say of a payment intent: its top-up and its credits, and what Stripe reported of it."""

    topup: TopUp | None
    credits: int
    reported: Reported

    @property
    def payment(self) -> Payment | None:
        """The row of the payment intent."""
        return self.reported.payment

    @property
    def credits_due(self) -> int:
        """The credits that its user should have of it, by what Stripe has reported."""
        if self.topup is None:
            return self.credits
        theirs = self.reported.of_session(self.topup.stripe_session_id)
        return money.credits_from_cents(theirs.left_of(self.topup.paid_cents or 0))


class OfPayments:
    """What the books say of the payment intents of a page of refunds or disputes."""

    def __init__(self, intent_ids: Iterable[str]) -> None:
        self._reported = reported.of_intents(intent_ids)
        session_ids = {each.session_id for each in self._reported.values()} - {""}
        paid = TopUp.objects.filter(state=TopUp.State.PAID)
        topups = list(
            paid.filter(Q(payment_intent_id__in=self._reported) | Q(stripe_session_id__in=session_ids))
        )
        self._by_intent = {topup.payment_intent_id: topup for topup in topups}
        self._by_session = {topup.stripe_session_id: topup for topup in topups}
        theirs = Entry.objects.filter(
            stripe_session_id__in=[each for each in self._by_session if each], kind__in=PAYMENT_KINDS
        )
        sums = theirs.order_by().values_list("wallet_id", "stripe_session_id").annotate(sum=Sum("credits"))
        self._credits = {(user_id, session_id): credits for user_id, session_id, credits in sums}
        # The refunds and disputes whose event staff resolved by hand.
        self.resolved = _resolved_objects(self._reported)

    def of(self, intent_id: str) -> OfPayment:
        """Return the records of one payment intent of the page."""
        theirs = self._reported[intent_id]
        if theirs.payment is not None and theirs.payment.state != Payment.State.KNOWN:
            topup = self._by_session.get(theirs.session_id)
        else:
            topup = self._by_intent.get(intent_id)
        key = (topup.user_id, topup.stripe_session_id) if topup else None
        return OfPayment(topup=topup, credits=self._credits.get(key, 0) if key else 0, reported=theirs)


def _resolved_objects(intent_ids: Collection[str]) -> set[str]:
    closed = StripeEvent.objects.filter(
        payment_intent_id__in=intent_ids,
        state=StripeEvent.State.RESOLVED,
        type__in=list(handlers.OF_REVERSALS),
    )
    return {sessions.text_at(sessions.session_of(event), "id") for event in closed} - {""}
