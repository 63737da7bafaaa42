"""Find out why credits of a payment were taken back or came back, and say it in a user's words.

The cause is read from the stored refunds and disputes of the payment. The reason of an entry is for staff,
and its words are never shown. It is used in one way only: if the handler of Stripe's events wrote the entry,
the reason ends with the id of the refund, charge or dispute.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from django.utils.dateformat import format as in_words

from accounts.actors import STRIPE
from foundation import money
from wallet.books.models import Entry
from wallet.payments.models import Payment, StripeDispute, StripeRefund, TopUp

T = TypeVar("T")

KINDS = (Entry.Kind.CLAWBACK, Entry.Kind.REINSTATEMENT)
# The statuses of a refund whose money has left us and has not reached the user.
ON_THEIR_WAY = ("pending", "requires_action")
WHERE_TO = "the card or account you paid with"


class Cause(Enum):
    """What Stripe reported of the payment. UNKNOWN is a refund or a dispute: it is not clear which."""

    REFUND = "refund"
    DISPUTE = "dispute"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reversal:
    """An entry that took back or returned credits of a payment, and its cause.

    `refund` and `dispute` are what caused it; None if it was not reported, or if it may have been one of
    several. `topup` is None if no top-up is recorded for the payment.
    """

    entry: Entry
    topup: TopUp | None
    cause: Cause = Cause.UNKNOWN
    refund: StripeRefund | None = None
    dispute: StripeDispute | None = None

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        if self.entry.kind == Entry.Kind.CLAWBACK:
            if self.refund and is_on_its_way(self.refund):
                return "Refund on its way"
            return {
                Cause.REFUND: "Payment refunded",
                Cause.DISPUTE: "Payment disputed",
                Cause.UNKNOWN: "Payment refunded or disputed",
            }[self.cause]
        ended = "cancelled" if self.refund and self.refund.status == "canceled" else "failed"
        return {
            Cause.REFUND: f"Refund {ended}, credits returned",
            Cause.DISPUTE: "Dispute resolved, credits returned",
            Cause.UNKNOWN: "Credits of a payment returned",
        }[self.cause]

    @property
    def sentence(self) -> str:
        """What happened to the payment, in one sentence or two."""
        if self.entry.kind == Entry.Kind.CLAWBACK:
            return self._how_it_left()
        return self._how_it_came_back()

    def _how_it_left(self) -> str:
        payment = payment_in_words(self.topup)
        if self.refund:
            return refund_in_words(self.refund, self.topup)
        if self.cause == Cause.REFUND:
            return f"Money of {payment} was refunded to {WHERE_TO}."
        if self.dispute:
            disputed = _part_in_words(self.dispute.amount_cents, self.topup)
            return f"Your bank disputed {disputed} and took the money back."
        if self.cause == Cause.DISPUTE:
            return f"Your bank disputed {payment} and took money back."
        return f"{_capitalized(payment)} was refunded or disputed."

    def _how_it_came_back(self) -> str:
        payment = payment_in_words(self.topup)
        if self.refund:
            refund = f"The refund of {_part_in_words(self.refund.amount_cents, self.topup)}"
            if self.refund.status == "canceled":
                return f"{refund} was cancelled, so the payment stands."
            return f"{refund} failed: the money did not reach {WHERE_TO}."
        if self.cause == Cause.REFUND:
            return f"A refund of {payment} failed: the money did not reach {WHERE_TO}."
        if self.dispute:
            returned_cents = sum(cents for cents in self.dispute.movements.values() if cents > 0)
            returned = money.dollars(returned_cents)
            return f"The dispute about {payment} is resolved: your bank returned {returned} to us."
        if self.cause == Cause.DISPUTE:
            return f"The dispute about {payment} is resolved: your bank returned the money to us."
        return f"Money of {payment} came back after it was refunded or disputed."


# --- Words --------------------------------------------------------------------------------------------


def is_on_its_way(refund: StripeRefund) -> bool:
    """Return whether a refund is made, but has not reached the user."""
    return refund.status in ON_THEIR_WAY


def refund_in_words(refund: StripeRefund, topup: TopUp | None) -> str:
    """Return what happened to the money of a refund that took credits back."""
    part = _part_in_words(refund.amount_cents, topup)
    if is_on_its_way(refund):
        return f"A refund of {part} is on its way to {WHERE_TO}. Its credits are already taken back."
    return f"{_capitalized(part)} was refunded to {WHERE_TO}."


def payment_in_words(topup: TopUp | None) -> str:
    """Return "your payment of $25.00 from 3 November 2026"; without a top-up, "your payment"."""
    if topup is None or topup.paid_cents is None or topup.paid_at is None:
        return "your payment"
    return f"your payment of {money.dollars(topup.paid_cents)} from {day_in_words(topup.paid_at)}"


def day_in_words(moment: datetime) -> str:
    """Return the day of a moment in UTC, such as 3 November 2026."""
    return str(in_words(moment.astimezone(UTC), "j F Y"))


def _part_in_words(cents: int, topup: TopUp | None) -> str:
    """Return the payment in words, after the amount if that is only a part of the payment."""
    payment = payment_in_words(topup)
    is_all = topup is not None and topup.paid_cents is not None and cents >= topup.paid_cents
    return payment if is_all else f"{money.dollars(cents)} of {payment}"


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


# --- Finding the cause --------------------------------------------------------------------------------


def of_entries(entries: Iterable[Entry]) -> dict[str, Reversal]:
    """Return the reversals among these entries, by the id of the entry.

    This makes at most four queries, and none if no entry is a clawback or a reinstatement.
    """
    reversals = [entry for entry in entries if entry.kind in KINDS]
    if not reversals:
        return {}
    sessions = {entry.stripe_session_id for entry in reversals if entry.stripe_session_id}
    topups = {
        topup.stripe_session_id: topup for topup in TopUp.objects.filter(stripe_session_id__in=sessions)
    }
    # A session's rows are its own, which has the session's id, and the one of its payment intent.
    rows = Payment.objects.filter(session_id__in=sessions)
    intents = {row.session_id: row for row in rows if row.pk != row.session_id}
    facts = _Facts([row.pk for row in intents.values()])
    return {
        entry.pk: facts.reversal(
            entry, topups.get(entry.stripe_session_id), intents.get(entry.stripe_session_id)
        )
        for entry in reversals
    }


class _Facts:
    """The refunds and disputes of some payments, by their payment intent."""

    def __init__(self, intents: list[str]) -> None:
        self.refunds: defaultdict[str, list[StripeRefund]] = defaultdict(list)
        self.disputes: defaultdict[str, list[StripeDispute]] = defaultdict(list)
        for refund in StripeRefund.objects.filter(payment_intent_id__in=intents):
            self.refunds[refund.payment_intent_id].append(refund)
        for dispute in StripeDispute.objects.filter(payment_intent_id__in=intents):
            self.disputes[dispute.payment_intent_id].append(dispute)

    def reversal(self, entry: Entry, topup: TopUp | None, intent: Payment | None) -> Reversal:
        if intent is None:
            return Reversal(entry, topup)
        took = entry.kind == Entry.Kind.CLAWBACK
        refunds = [each for each in self.refunds[intent.pk] if took or each.has_ended]
        disputes = [each for each in self.disputes[intent.pk] if _has_moved(each, took=took)]
        named = entry.reason.removesuffix(".").rpartition(" ")[2] if entry.actor == STRIPE else ""
        if of_its_id := [each for each in disputes if each.pk == named]:
            return Reversal(entry, topup, Cause.DISPUTE, dispute=of_its_id[0])
        if of_its_charge := [each for each in refunds if named in (each.pk, each.charge_id)]:
            return Reversal(entry, topup, Cause.REFUND, refund=_only(of_its_charge))
        was_refunded = bool(refunds) or (took and intent.refunded_cents > 0)
        if was_refunded and not disputes:
            return Reversal(entry, topup, Cause.REFUND, refund=_only(refunds))
        if disputes and not was_refunded:
            return Reversal(entry, topup, Cause.DISPUTE, dispute=_only(disputes))
        return Reversal(entry, topup)


def _has_moved(dispute: StripeDispute, *, took: bool) -> bool:
    """Return whether the dispute has taken money; if `took` is false, whether it has returned money."""
    return any(cents < 0 if took else cents > 0 for cents in dispute.movements.values())


def _only(found: list[T]) -> T | None:
    return found[0] if len(found) == 1 else None
