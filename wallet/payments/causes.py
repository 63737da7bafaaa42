"""Find out why credits of a payment were taken back or came back, and say it in a user's words.

The cause is read from the stored refunds and disputes of the payment. The reason of an entry is for staff,
and its words are never shown. It is used in one way only: if the handler of Stripe's events wrote the entry,
the reason ends with the id of the refund, charge or dispute.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from django.utils.dateformat import format as in_words

from accounts.actors import STRIPE
from foundation import money
from wallet.books.models import Entry
from wallet.payments import reported
from wallet.payments.models import StripeDispute, StripeRefund, TopUp
from wallet.payments.reported import Reported

T = TypeVar("T")

KINDS = (Entry.Kind.CLAWBACK, Entry.Kind.REINSTATEMENT)
# The statuses of a refund whose money has left us and has not reached the user.
WAITS_FOR_USER = "requires_action"
ON_THEIR_WAY = ("pending", WAITS_FOR_USER)
WHERE_TO = "the card or account you paid with"


class Cause(Enum):
    """What Stripe reported of the payment. UNKNOWN is a refund or a dispute: it is not clear which."""

    REFUND = "refund"
    DISPUTE = "dispute"
    UNKNOWN = "unknown"


TAKEN = {
    Cause.REFUND: "Payment refunded",
    Cause.DISPUTE: "Payment disputed",
    Cause.UNKNOWN: "Payment refunded or disputed",
}
RETURNED = {
    Cause.REFUND: "Refund failed, credits returned",
    Cause.DISPUTE: "Dispute resolved, credits returned",
    Cause.UNKNOWN: "Credits of a payment returned",
}


@dataclass(frozen=True)
class Reversal:
    """An entry that took back or returned credits of a payment, and its cause.

    `refund` or `dispute` is what caused it; both are None if that was not reported, or if several may have
    caused it. `topup` is None if no top-up is recorded for the payment.
    """

    entry: Entry
    topup: TopUp | None
    cause: Cause = Cause.UNKNOWN
    refund: StripeRefund | None = None
    dispute: StripeDispute | None = None

    @property
    def was_taken(self) -> bool:
        """Whether the entry took credits. Otherwise it returned them."""
        return self.entry.kind == Entry.Kind.CLAWBACK

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        if self.was_taken:
            is_on_its_way = self.refund and self.refund.status in ON_THEIR_WAY
            return "Refund on its way" if is_on_its_way else TAKEN[self.cause]
        was_cancelled = self.refund and self.refund.status == "canceled"
        return "Refund cancelled, credits returned" if was_cancelled else RETURNED[self.cause]

    @property
    def sentence(self) -> str:
        """What happened to the payment, in one sentence or two."""
        if self.cause == Cause.REFUND:
            return refund_in_words(self.refund, self.topup) if self.was_taken else self._failure_of_a_refund()
        if self.cause == Cause.DISPUTE:
            return _dispute_in_words(self.dispute, self.topup) if self.was_taken else self._end_of_a_dispute()
        if self.was_taken:
            return _unknown_in_words(self.topup)
        return f"Money of {payment_in_words(self.topup)} came back to us."

    def _failure_of_a_refund(self) -> str:
        if self.refund is None:
            refund = f"A refund of {payment_in_words(self.topup)}"
        else:
            refund = f"The refund of {_part_in_words(self.refund.amount_cents, self.topup)}"
        if self.refund and self.refund.status == "canceled":
            return f"{refund} was cancelled, so the payment stands."
        return f"{refund} failed: the money did not reach {WHERE_TO}."

    def _end_of_a_dispute(self) -> str:
        moved = self.dispute.movements.values() if self.dispute else ()
        returned_cents = sum(cents for cents in moved if cents > 0)
        returned = money.dollars(returned_cents) if returned_cents else "the money"
        payment = payment_in_words(self.topup)
        return f"The dispute about {payment} is resolved: your bank returned {returned} to us."


# --- Words --------------------------------------------------------------------------------------------


def payment_in_words(topup: TopUp | None) -> str:
    """Return "your payment of $25.00 from 3 November 2026"; without a top-up, "your payment"."""
    if topup is None or topup.paid_cents is None or topup.paid_at is None:
        return "your payment"
    return f"your payment of {money.dollars(topup.paid_cents)} from {day_in_words(topup.paid_at)}"


def refund_in_words(refund: StripeRefund | None, topup: TopUp | None) -> str:
    """Return what happens to the money and the credits of a refund. None is an unknown refund."""
    words = _money_of_refund_in_words(refund, topup)
    is_waiting = refund is not None and refund.status in ON_THEIR_WAY
    return f"{words} Its credits are already taken back." if is_waiting else words


def _money_of_refund_in_words(refund: StripeRefund | None, topup: TopUp | None) -> str:
    if refund is None:
        return f"Money of {payment_in_words(topup)} was refunded to {WHERE_TO}."
    part = _part_in_words(refund.amount_cents, topup)
    if refund.status == WAITS_FOR_USER:
        return f"A refund of {part} is waiting for you: Stripe has asked you by mail where to send it."
    if refund.status in ON_THEIR_WAY:
        return f"A refund of {part} is on its way to {WHERE_TO}."
    return f"{_capitalized(part)} was refunded to {WHERE_TO}."


def day_in_words(moment: datetime) -> str:
    """Return the day of a moment in UTC, such as 3 November 2026."""
    return str(in_words(moment.astimezone(UTC), "j F Y"))


def _dispute_in_words(dispute: StripeDispute | None, topup: TopUp | None) -> str:
    if dispute is None:
        return f"Your bank disputed {payment_in_words(topup)} and took money back."
    part = _part_in_words(dispute.amount_cents, topup)
    if 0 < dispute.withdrawn_cents < dispute.amount_cents:
        return f"Your bank disputed {part} and took {money.dollars(dispute.withdrawn_cents)} of it back."
    return f"Your bank disputed {part} and took the money back."


def _refunds_in_words(refunds: list[StripeRefund], topup: TopUp | None) -> str:
    if len(refunds) < 2:
        return _money_of_refund_in_words(_only(refunds), topup)
    part = _part_in_words(sum(refund.amount_cents for refund in refunds), topup)
    return f"{_capitalized(part)} was refunded to {WHERE_TO}."


def _unknown_in_words(topup: TopUp | None) -> str:
    return f"{_capitalized(payment_in_words(topup))} was refunded or disputed."


def _part_in_words(cents: int, topup: TopUp | None) -> str:
    """Return the payment in words, after the amount if that is only a part of the payment."""
    payment = payment_in_words(topup)
    is_all = topup is not None and topup.paid_cents is not None and cents >= topup.paid_cents
    return payment if is_all else f"{money.dollars(cents)} of {payment}"


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


# --- Finding the cause --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What is stored of one payment: its top-up, and what Stripe reported of its money.

    `topup` is None if no top-up is recorded.
    """

    topup: TopUp | None = None
    reported: Reported = field(default_factory=Reported)

    def reversal(self, entry: Entry) -> Reversal:
        """Return the cause of a clawback or a reinstatement of this payment."""
        took = entry.kind == Entry.Kind.CLAWBACK
        refunds = [each for each in self.reported.refunds if took or each.has_ended]
        disputes = [each for each in self.reported.disputes if _has_moved(each, took=took)]
        named = entry.reason.removesuffix(".").rpartition(" ")[2] if entry.actor == STRIPE else ""
        if named_disputes := [each for each in disputes if each.pk == named]:
            return Reversal(entry, self.topup, Cause.DISPUTE, dispute=_only(named_disputes))
        if named_refunds := [each for each in refunds if named in (each.pk, each.charge_id)]:
            return Reversal(entry, self.topup, Cause.REFUND, refund=_only(named_refunds))
        was_refunded = bool(refunds) or (took and self.reported.charge_cents > 0)
        if was_refunded and not disputes:
            return Reversal(entry, self.topup, Cause.REFUND, refund=_only(refunds))
        if disputes and not was_refunded:
            return Reversal(entry, self.topup, Cause.DISPUTE, dispute=_only(disputes))
        return Reversal(entry, self.topup)

    def what_took_money(self) -> str:
        """Return what the money of this payment is gone for now, in a user's words."""
        refunds = self.reported.live_refunds
        disputes = [each for each in self.reported.disputes if each.withdrawn_cents > 0]
        sentences = []
        if refunds or self.reported.charge_cents > self.reported.stored_cents:
            sentences.append(_refunds_in_words(refunds, self.topup))
        if disputes:
            sentences.append(_dispute_in_words(_only(disputes), self.topup))
        return " ".join(sentences) or _unknown_in_words(self.topup)


def of_entries(entries: Iterable[Entry]) -> dict[str, Reversal]:
    """Return the reversals among these entries, by the id of the entry.

    This makes at most four queries, and none if no entry is a clawback or a reinstatement.
    """
    reversals = [entry for entry in entries if entry.kind in KINDS]
    facts = facts_of({entry.stripe_session_id for entry in reversals})
    return {entry.pk: facts[entry.stripe_session_id].reversal(entry) for entry in reversals}


def facts_of(session_ids: Collection[str]) -> dict[str, Facts]:
    """Return what is stored of the payments of these Checkout Sessions, by session. "" has no facts."""
    if not any(session_ids):
        return {session_id: Facts() for session_id in session_ids}
    topups = {
        topup.stripe_session_id: topup for topup in TopUp.objects.filter(stripe_session_id__in=session_ids)
    }
    of_intents = reported.of_intents(topup.payment_intent_id for topup in topups.values())
    facts = dict.fromkeys(session_ids, Facts())
    for session_id, topup in topups.items():
        facts[session_id or ""] = Facts(topup, of_intents[topup.payment_intent_id].of_session(session_id))
    return facts


def _has_moved(dispute: StripeDispute, *, took: bool) -> bool:
    """Return whether the dispute has taken money; if `took` is false, whether it has returned money."""
    return any(cents < 0 if took else cents > 0 for cents in dispute.movements.values())


def _only(found: list[T]) -> T | None:
    return found[0] if len(found) == 1 else None
