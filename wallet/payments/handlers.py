"""Which type of Stripe event is handled by which function."""

from collections.abc import Callable
from functools import partial

from wallet.payments.models import TopUp
from wallet.payments.settlement import settle

State = TopUp.State

# A handler is called with the event's object and with `happened_at`. It brings the event's effect about and
# returns a remark for staff, mostly empty; it raises Parked where a person must decide.
HANDLERS: dict[str, Callable[..., str]] = {
    "checkout.session.completed": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_succeeded": partial(settle, unpaid=State.PENDING),
    "checkout.session.async_payment_failed": partial(settle, unpaid=State.FAILED),
    "checkout.session.expired": partial(settle, unpaid=State.EXPIRED),
}
# Events without a handler whose payload is kept whole: a later release will settle refunds and disputes.
KEPT_PREFIXES = ("charge.refund", "charge.dispute.", "refund.")
