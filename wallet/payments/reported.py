"""What Stripe has reported of the money of a payment, and what is left of the payment.

The functions that write the books, the pages, the refunds of staff and reconciliation all read it here. Only
`check_ledger` computes what is left a second time, in SQL (laws/payments.py), so that each checks the other.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from wallet.payments.models import Payment, StripeDispute, StripeRefund, TopUp


@dataclass(frozen=True)
class Reported:
    """The refunds and disputes of one payment intent, oldest first. Amounts are in cents.

    `payment` is None if Stripe has reported nothing of the payment.
    """

    payment: Payment | None = None
    refunds: list[StripeRefund] = field(default_factory=list)
    disputes: list[StripeDispute] = field(default_factory=list)

    @property
    def session_id(self) -> str:
        """The Checkout Session for which the payment was decided first; "" if it is not decided."""
        return self.payment.session_id if self.payment else ""

    @property
    def charge_cents(self) -> int:
        """The most that the charge has said it refunded, failed refunds included."""
        return self.payment.refunded_cents if self.payment else 0

    @property
    def stored_cents(self) -> int:
        """All refunds that were reported themselves, failed ones included."""
        return sum(each.amount_cents for each in self.refunds)

    @property
    def live_refunds(self) -> list[StripeRefund]:
        """The refunds that took money and have not failed."""
        return [each for each in self.refunds if not each.has_ended]

    @property
    def pending_cents(self) -> int:
        """The refunds that are on their way."""
        return sum(each.amount_cents for each in self.live_refunds if not each.has_succeeded)

    @property
    def refunded_cents(self) -> int:
        """The refunds that succeeded, and what only the charge has reported.

        A charge reports the sum of its refunds, also of failed ones. So if the report of a refund is lost,
        the charge still says that the money left.
        """
        ended_cents = sum(each.amount_cents for each in self.refunds if each.has_ended)
        return max(self.stored_cents, self.charge_cents) - ended_cents - self.pending_cents

    @property
    def withdrawn_cents(self) -> int:
        """What disputes took and did not return; at least 0."""
        return max(0, sum(each.withdrawn_cents for each in self.disputes))

    def left_of(self, paid_cents: int) -> int:
        """Return the cents that Stripe has left of a payment of `paid_cents`; at least 0."""
        return max(0, paid_cents - self.refunded_cents - self.pending_cents - self.withdrawn_cents)

    def of_session(self, session_id: str | None) -> "Reported":
        """Return what counts for this Checkout Session.

        If two sessions name the same payment intent, its refunds and disputes count for the first one only.
        """
        return self if self.session_id in ("", session_id) else Reported()


def of_intents(payment_intent_ids: Iterable[str]) -> defaultdict[str, Reported]:
    """Return what was reported of these payment intents, by their id; three queries for all.

    "" and the ids of which nothing was reported get an empty Reported.
    """
    ids = set(payment_intent_ids) - {""}
    refunds = defaultdict[str, list[StripeRefund]](list)
    for refund in StripeRefund.objects.filter(payment_intent_id__in=ids).order_by("created_at", "pk"):
        refunds[refund.payment_intent_id].append(refund)
    disputes = defaultdict[str, list[StripeDispute]](list)
    for dispute in StripeDispute.objects.filter(payment_intent_id__in=ids).order_by("created_at", "pk"):
        disputes[dispute.payment_intent_id].append(dispute)
    payments = Payment.objects.in_bulk(ids)
    return defaultdict(
        Reported, {each: Reported(payments.get(each), refunds[each], disputes[each]) for each in ids}
    )


def of_topup(topup: TopUp) -> Reported:
    """Return what was reported of the payment of a top-up, as far as it counts for this top-up."""
    reported = of_intents([topup.payment_intent_id])[topup.payment_intent_id]
    return reported.of_session(topup.stripe_session_id)
