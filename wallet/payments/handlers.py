"""Which type of Stripe event is handled by which function."""

from collections.abc import Callable
from functools import partial

from wallet.payments.models import TopUp
from wallet.payments.settlement import settle

State = TopUp.State

# A handler gets the event's object and `happened_at`. It does what the event requires and returns a remark
# for staff, mostly empty. It raises Parked if a person must decide.
HANDLERS: dict[str, Callable[..., str]] = {
    "checkout.session.completed": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_succeeded": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_failed": partial(settle, unpaid=State.FAILED),
    "checkout.session.expired": partial(settle, unpaid=State.EXPIRED),
}
# Events without a handler whose payload is kept whole: a later release will settle refunds and disputes.
KEPT_PREFIXES = ("charge.refund", "charge.dispute.", "refund.")
