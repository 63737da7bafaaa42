"""How the back-office writes refunds and disputes: in plain words, with their amounts."""

from dataclasses import dataclass

from django.utils.html import format_html

from backoffice.lists.links import row_url
from foundation import money
from foundation.text import one_line
from wallet.models import Payment, RefundRequest, StripeDispute, StripeRefund
from wallet.payments import stripe_gateway
from wallet.payments.reported import Reported

REFUND_STATUSES = {
    "pending": "Pending",
    "requires_action": "Waits for the user's bank details",
    "succeeded": "Refunded",
    "failed": "Failed",
    "canceled": "Cancelled",
}
DISPUTE_STATUSES = {
    "needs_response": "Needs an answer",
    "under_review": "Under review",
    "won": "Won",
    "lost": "Lost",
    "prevented": "Prevented",
    "warning_needs_response": "Inquiry, needs an answer",
    "warning_under_review": "Inquiry, under review",
    "warning_closed": "Inquiry closed",
    "appeal_needs_response": "Appeal, needs an answer",
    "appeal_under_review": "Appeal, under review",
}
UNANSWERED = "unanswered"  # In the URL of the list: disputes of all statuses that need an answer.


@dataclass(frozen=True)
class Reversal:
    """A refund or a dispute as a sentence, and its state in words."""

    row: StripeRefund | StripeDispute
    sentence: str
    state: str

    @property
    def url(self) -> str:
        """The URL of its page in the back-office."""
        return row_url(type(self.row), self.row.pk)


def of_payment(reported: Reported) -> list[Reversal]:
    """Return the refunds and disputes of a payment that Stripe has reported, newest first."""
    rows: list[StripeRefund | StripeDispute] = [*reported.refunds, *reported.disputes]
    rows.sort(key=lambda row: (row.created_at, row.pk), reverse=True)
    return [Reversal(row, in_words(row), status_of(row)) for row in rows]


def in_words(row: StripeRefund | StripeDispute) -> str:
    """Return a refund or a dispute as a sentence without a full stop, such as "Refunded $10.00"."""
    return _refund(row) if isinstance(row, StripeRefund) else _dispute(row)


def reported_of(payment_intent_id: str) -> str:
    """Return what Stripe has reported of a payment: its refunds and disputes in words, "" if none."""
    if not payment_intent_id:
        return ""
    refunds = StripeRefund.objects.filter(payment_intent_id=payment_intent_id).order_by("-created_at", "pk")
    disputes = StripeDispute.objects.filter(payment_intent_id=payment_intent_id).order_by("-created_at", "pk")
    return "; ".join([*map(_refund, refunds), *map(_dispute, disputes)])


def _refund(refund: StripeRefund) -> str:
    amount = money.dollars(refund.amount_cents)
    if refund.has_succeeded:
        return f"Refunded {amount}"
    return f"Refund of {amount} {status_of(refund).lower()}"


def _dispute(dispute: StripeDispute) -> str:
    amount, taken = money.dollars(dispute.amount_cents), dispute.withdrawn_cents
    if dispute.is_inquiry:
        return f"Inquiry about {amount}, no money withdrawn"
    if dispute.status == "prevented":
        return f"Dispute of {amount} prevented"
    is_decided = dispute.status in ("won", "lost")
    result = f"Dispute of {amount} {dispute.status}" if is_decided else f"Disputed {amount}"
    if not dispute.movements:
        return f"{result}, no money withdrawn"
    if taken <= 0:
        return f"{result}, money returned"
    if returned := sum(cents for cents in dispute.movements.values() if cents > 0):
        return f"{result}, {money.dollars(returned)} of it returned"
    return f"{result}, money withdrawn"


def owner_of(row: StripeRefund | StripeDispute) -> str:
    """Return the Misar ID of the user who has the credits of the payment; "" if there is none."""
    payment = Payment.objects.filter(pk=row.payment_intent_id).first()
    return payment.user_id if payment else ""


def status_of(row: StripeRefund | StripeDispute) -> str:
    """Return a status of Stripe in words. A status that we do not know is shown as Stripe sent it."""
    words = REFUND_STATUSES if isinstance(row, StripeRefund) else DISPUTE_STATUSES
    return words.get(row.status) or one_line(row.status)


def what_refund_means(refund: StripeRefund) -> str:
    """Return what follows from a refund for the user's credits, as a sentence for staff."""
    if refund.has_ended:
        return "The money is back with us, and its credits are back with the user."
    if refund.has_succeeded:
        return "Stripe paid it out, and its credits were taken back."
    return "Stripe has not paid it out yet. Its credits were taken back, and come back if it fails."


def what_dispute_means(dispute: StripeDispute) -> str:
    """Return what follows from a dispute, as a sentence for staff."""
    answer = " Answer it in Stripe's dashboard." if dispute.status in StripeDispute.UNANSWERED else ""
    if dispute.is_inquiry:
        return f"The bank asks about the payment. No money and no credits have moved.{answer}"
    if dispute.withdrawn_cents > 0:
        return f"The bank took the money, and its credits were taken back.{answer}"
    if dispute.movements:
        return f"The bank returned the money, and its credits are back with the user.{answer}"
    return f"No money and no credits have moved.{answer}"


def what_request_means(requested: RefundRequest) -> str:
    """Return what Stripe's answer to a request for a refund means, as a sentence for staff."""
    if requested.state == RefundRequest.State.ASKING:
        return (
            "Stripe may have made the refund or not. Ask Stripe again: the same refund is never made twice."
        )
    if requested.state == RefundRequest.State.REFUSED:
        return "Stripe made no refund. No money and no credits have moved."
    return (
        "Stripe has made the refund. Its own status, under Stripe refunds, says whether it reached the user."
    )


def payment_link(payment_intent_id: str) -> str:
    """Return the id of a payment, as a link to Stripe's dashboard if the id begins with `pi_`."""
    url = stripe_gateway.page_of_payment(payment_intent_id)
    if not url:
        return payment_intent_id
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', url, payment_intent_id)
