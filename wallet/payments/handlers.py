"""The function that handles each type of Stripe event."""

from collections.abc import Callable
from functools import partial

from wallet.payments.models import TopUp
from wallet.payments.settlement import settle

State = TopUp.State

# A handler is called with the event's object and `happened_at`. It handles the event and returns a remark for
# staff, which is usually empty. A handler raises Parked if staff must decide what to do.
HANDLERS: dict[str, Callable[..., str]] = {
    "checkout.session.completed": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_succeeded": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_failed": partial(settle, unpaid=State.FAILED),
    "checkout.session.expired": partial(settle, unpaid=State.EXPIRED),
}
# Events with these prefixes have no handler yet, but their whole payload is stored. A later release will
# handle refunds and disputes.
KEPT_PREFIXES = ("charge.refund", "charge.dispute.", "refund.")
