"""The receipt of a top-up, by mail, to the wallet's owner."""

from datetime import UTC, datetime
from typing import Any

from accounts import outbox
from accounts.models import User
from misar_billing import money
from wallet.models import PRODUCT_LENGTH, TopUp

SHOWN_WHOLE_MAX = 20


@outbox.never_in_the_way
def queue(topup: TopUp) -> None:
    """Write the receipt of a paid top-up down, in the transaction that credits it; once per top-up.

    Nothing is written for a wallet whose owner never signed in or has no address. Never raises on the
    mail's account.
    """
    user = User.objects.filter(pk=topup.user_id).first()
    if user is None or not user.email:
        return
    told = context_of(topup)
    outbox.queue(
        user=user,
        to=user.email,
        kind="receipt",
        fact=f"receipt:{topup.pk}",
        subject=f"Receipt: {told['paid']} for {told['credits']}",
        template="wallet/mail/receipt",
        context=told,
    )


def context_of(topup: TopUp) -> dict[str, Any]:
    """What a receipt tells, as people read it. The top-up must be paid; dates are UTC."""
    entry, paid_at = topup.entry, topup.paid_at
    assert entry is not None
    assert topup.paid_cents is not None
    assert paid_at is not None
    # Of the day it was written: that is the statement the entry stands in.
    written_at = entry.created_at.astimezone(UTC)
    return {
        "paid": money.dollars(topup.paid_cents),
        "credits": _credits(entry.credits),
        "added": money.plain(entry.credits),
        "balance": _credits(entry.balance_after),
        "date": _moment(paid_at.astimezone(UTC)),
        "product": outbox.one_line(topup.product, PRODUCT_LENGTH),
        "topup_id": topup.pk,
        "stripe_reference": _shortened(topup.payment_intent_id or topup.stripe_session_id or ""),
        "month": f"{written_at:%Y-%m}",
        "month_name": f"{written_at:%B %Y}",
    }


def _credits(count: int) -> str:
    return f"{money.plain(count)} Misar {'credit' if abs(count) == 1 else 'credits'}"


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _shortened(stripe_id: str) -> str:
    """Enough of an id to tell two payments apart."""
    line = outbox.one_line(stripe_id, len(stripe_id) + 1)
    return line if len(line) <= SHOWN_WHOLE_MAX else f"{line[:11]}…{line[-8:]}"
