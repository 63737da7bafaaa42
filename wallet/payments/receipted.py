"""Receipts: what a paid top-up was, and what became of the money since.

Only a top-up that was paid has a receipt. Its number is the top-up's id, which never changes. Amounts are in
US cents. `receipts.py` sends the mail about it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from foundation import money
from wallet.payments import reported
from wallet.payments.models import TopUp, TopUpQuerySet
from wallet.payments.reported import Reported

RECEIPTS_A_PAGE = 50


@dataclass(frozen=True)
class MoneyBack:
    """Money of a payment that went back, or returned, after the payment.

    `cents` is below 0 if the buyer, or the buyer's bank, got money. `at` is None if only the charge reported
    it. `is_on_its_way` means that a refund has not reached the buyer yet.
    """

    name: str
    cents: int
    at: datetime | None = None
    stripe_id: str = ""
    is_on_its_way: bool = False


@dataclass(frozen=True)
class Receipt:
    """One paid top-up."""

    topup: TopUp
    reported: Reported

    @property
    def paid_cents(self) -> int:
        """What was paid."""
        return self.topup.paid_cents or 0

    @property
    def credits(self) -> int:
        """The credits that it bought."""
        return money.credits_from_cents(self.paid_cents)

    @property
    def paid_at(self) -> datetime:
        """When it was paid; for a payment of which Stripe gave no time, when the top-up was begun."""
        return self.topup.paid_at or self.topup.created_at

    @property
    def left_cents(self) -> int:
        """What is left of the payment after refunds and disputes; at least 0."""
        return self.reported.left_of(self.paid_cents)

    @property
    def state(self) -> str:
        """What became of the payment, in a word or two."""
        if self.left_cents == self.paid_cents:
            return "Paid"
        by_the_bank = self.reported.withdrawn_cents > 0
        word = "Disputed" if by_the_bank else "Refunded"
        return word if self.left_cents == 0 else f"Partly {word.lower()}"

    @property
    def reference(self) -> str:
        """The payment's id at Stripe."""
        return self.topup.payment_intent_id or self.topup.stripe_session_id or ""

    @property
    def reversals(self) -> list[MoneyBack]:
        """What went back or returned, oldest first. Their sum is what left the payment."""
        refunds = [
            MoneyBack(
                "Refund", -each.amount_cents, each.created_at, each.pk, is_on_its_way=not each.has_succeeded
            )
            for each in self.reported.live_refunds
        ]
        disputes = [
            MoneyBack("Dispute by your bank", -each.withdrawn_cents, each.created_at, each.pk)
            for each in self.reported.disputes
            if each.withdrawn_cents
        ]
        listed_cents = sum(each.amount_cents for each in self.reported.live_refunds)
        unlisted_cents = self.reported.refunded_cents + self.reported.pending_cents - listed_cents
        unlisted = [MoneyBack("Refund", -unlisted_cents)] if unlisted_cents > 0 else []
        return sorted([*refunds, *disputes], key=lambda each: (each.at, each.stripe_id)) + unlisted


@dataclass(frozen=True)
class Page:
    """Some receipts of a user, newest first. `older` is the number that the next page begins after, or ""."""

    receipts: list[Receipt]
    older: str


def receipt_of(*, user_id: str, number: str) -> Receipt | None:
    """Return the receipt of a user's paid top-up; None if this user has no such receipt."""
    topup = _paid(user_id).filter(pk=number).first()
    return Receipt(topup, reported.of_topup(topup)) if topup else None


def page_of(*, user_id: str, after: str = "") -> Page:
    """Return the receipts of a user, newest first: at most RECEIPTS_A_PAGE, older than the number `after`.

    An `after` that is no receipt of this user is left out.
    """
    topups = _paid(user_id)
    if last := topups.filter(pk=after).first():
        topups = topups.filter(
            Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        )
    rows = list(topups[: RECEIPTS_A_PAGE + 1])
    shown = rows[:RECEIPTS_A_PAGE]
    of_intents = reported.of_intents(each.payment_intent_id for each in shown)
    receipts = [
        Receipt(each, of_intents[each.payment_intent_id].of_session(each.stripe_session_id)) for each in shown
    ]
    return Page(receipts, older=shown[-1].pk if len(rows) > RECEIPTS_A_PAGE else "")


def _paid(user_id: str) -> TopUpQuerySet:
    return TopUp.objects.of_user(user_id).filter(state=TopUp.State.PAID)
