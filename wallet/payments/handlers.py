"""The function that handles each type of Stripe event."""

from collections.abc import Callable
from functools import partial

from wallet.payments import reversals
from wallet.payments.models import TopUp
from wallet.payments.settlement import settle

State = TopUp.State

# A handler is called with the event's object and `happened_at`. It handles the event and returns a remark for
# staff, which is usually empty. A handler raises Parked if staff must decide what to do.
OF_SESSIONS: dict[str, Callable[..., str]] = {
    "checkout.session.completed": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_succeeded": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_failed": partial(settle, unpaid=State.FAILED),
    "checkout.session.expired": partial(settle, unpaid=State.EXPIRED),
}
OF_REVERSALS: dict[str, Callable[..., str]] = {
    "refund.created": reversals.refund,
    "refund.updated": reversals.refund,
    "refund.failed": reversals.refund,
    "charge.refund.updated": reversals.refund,
    "charge.refunded": reversals.charge,
    "charge.dispute.created": reversals.dispute,
    "charge.dispute.updated": reversals.dispute,
    "charge.dispute.funds_withdrawn": reversals.dispute,
    "charge.dispute.funds_reinstated": reversals.dispute,
    "charge.dispute.closed": reversals.dispute,
}
HANDLERS = OF_SESSIONS | OF_REVERSALS
