"""Our records of a page of Stripe's objects, read in a few queries for the whole page."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Q, Sum

from foundation import money
from wallet.books.models import PAYMENT_KINDS, Entry
from wallet.payments import handlers, sessions, settlement
from wallet.payments.models import Payment, StripeDispute, StripeEvent, StripeRefund, TopUp


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
    """What the books say of a payment intent: its top-up, and what Stripe reported of it."""

    payment: Payment | None
    topup: TopUp | None
    credits: int
    refunds: list[StripeRefund]
    disputes: list[StripeDispute]

    @property
    def refunded_cents(self) -> int:
        """The most that its charge has said it refunded."""
        return self.payment.refunded_cents if self.payment else 0

    @property
    def credits_due(self) -> int:
        """The credits that its user should have of it, by what Stripe has reported."""
        topup, payment = self.topup, self.payment
        if topup is None:
            return self.credits
        # Without a decision, the release before credited it: the next report of Stripe makes it follow.
        if payment is None or payment.session_id not in ("", topup.stripe_session_id):
            return money.credits_from_cents(topup.paid_cents or 0)
        left = settlement.left_after(
            topup.paid_cents or 0,
            refunded_cents=payment.refunded_cents,
            refunds=self.refunds,
            disputes=self.disputes,
        )
        return money.credits_from_cents(left)


class OfPayments:
    """What the books say of the payment intents of a page of refunds or disputes."""

    def __init__(self, intent_ids: Iterable[str]) -> None:
        ids = {each for each in intent_ids if each}
        self._payments = Payment.objects.in_bulk(ids)
        session_ids = {payment.session_id for payment in self._payments.values()} - {""}
        paid = TopUp.objects.filter(state=TopUp.State.PAID)
        topups = list(paid.filter(Q(payment_intent_id__in=ids) | Q(stripe_session_id__in=session_ids)))
        self._by_intent = {topup.payment_intent_id: topup for topup in topups}
        self._by_session = {topup.stripe_session_id: topup for topup in topups}
        theirs = Entry.objects.filter(
            stripe_session_id__in=[each for each in self._by_session if each], kind__in=PAYMENT_KINDS
        )
        sums = theirs.order_by().values_list("wallet_id", "stripe_session_id").annotate(sum=Sum("credits"))
        self._credits = {(user_id, session_id): credits for user_id, session_id, credits in sums}
        self._refunds = defaultdict(list)
        for refund in StripeRefund.objects.filter(payment_intent_id__in=ids):
            self._refunds[refund.payment_intent_id].append(refund)
        self._disputes = defaultdict(list)
        for dispute in StripeDispute.objects.filter(payment_intent_id__in=ids):
            self._disputes[dispute.payment_intent_id].append(dispute)
        # The refunds and disputes whose event staff resolved by hand.
        self.resolved = _resolved_objects(ids)

    def of(self, intent_id: str) -> OfPayment:
        """Return the records of one payment intent of the page."""
        payment = self._payments.get(intent_id)
        if payment is not None and payment.state != Payment.State.KNOWN:
            topup = self._by_session.get(payment.session_id)
        else:
            topup = self._by_intent.get(intent_id)
        key = (topup.user_id, topup.stripe_session_id) if topup else None
        return OfPayment(
            payment=payment,
            topup=topup,
            credits=self._credits.get(key, 0) if key else 0,
            refunds=self._refunds[intent_id],
            disputes=self._disputes[intent_id],
        )


def _resolved_objects(intent_ids: Collection[str]) -> set[str]:
    closed = StripeEvent.objects.filter(
        payment_intent_id__in=intent_ids,
        state=StripeEvent.State.RESOLVED,
        type__in=list(handlers.OF_REVERSALS),
    )
    return {sessions.text_at(sessions.session_of(event), "id") for event in closed} - {""}
