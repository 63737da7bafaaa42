"""The receipt of a top-up, by mail, to the wallet's owner."""

from datetime import UTC
from typing import Any

from django.utils.dateformat import format as in_words

from accounts.mail import outbox
from accounts.models import User
from foundation import money
from wallet.books.models import PRODUCT_LENGTH
from wallet.history import products
from wallet.payments.models import TopUp

SHOWN_WHOLE_MAX = 20
KIND = "receipt"


def register() -> None:
    """Name this kind of mail to the outbox."""
    outbox.register(KIND, outbox.Kind("Receipts", "When a payment has become credits in your wallet."))


@outbox.never_in_the_way
def queue(topup: TopUp) -> None:
    """Write the receipt of a paid top-up down, in the transaction that credits it; once per top-up.

    Nothing is written for a wallet whose owner never signed in or has no address. Never raises on the
    mail's account.
    """
    user = User.objects.filter(pk=topup.user_id).first()
    if user is None or not user.email:
        return
    told = context_of(topup, user)
    outbox.queue(
        user=user,
        to=user.email,
        kind=KIND,
        fact=f"receipt:{topup.pk}",
        subject=f"Receipt: {told['paid']} for {told['credits']}",
        template="wallet/mail/receipt",
        context=told,
    )


def context_of(topup: TopUp, user: User) -> dict[str, Any]:
    """What a receipt tells its user, as people read it. The top-up must be paid; dates are UTC."""
    entry, paid_at = topup.entry, topup.paid_at
    assert entry is not None
    assert topup.paid_cents is not None
    assert paid_at is not None
    # Of the day it was written: that is the statement the entry stands in.
    written_at = entry.created_at.astimezone(UTC)
    return {
        "paid": money.dollars(topup.paid_cents),
        "credits": money.credits(entry.credits),
        "balance": money.credits(entry.balance_after),
        "owner": _named(user),
        "date": f"{in_words(paid_at.astimezone(UTC), 'j F Y, H:i')} UTC",
        # The wallet's own page is where nobody remembers to have bought anything.
        "product": outbox.one_line(topup.product, PRODUCT_LENGTH) if topup.product != products.WALLET else "",
        "topup_id": topup.pk,
        "stripe_reference": _shortened(topup.payment_intent_id or topup.stripe_session_id or ""),
        "month": f"{written_at:%Y-%m}",
        "month_name": in_words(written_at, "F Y"),
    }


def _named(user: User) -> str:
    """Whose wallet it is: the name where there is one, and the Misar ID."""
    misar_id = outbox.one_line(user.misar_id, len(user.misar_id) + 1)
    name = outbox.one_line(user.name, len(user.name) + 1)
    return f"{name}, Misar ID {misar_id}" if name else f"Misar ID {misar_id}"


def _shortened(stripe_id: str) -> str:
    """Enough of an id to tell two payments apart."""
    line = outbox.one_line(stripe_id, len(stripe_id) + 1)
    return line if len(line) <= SHOWN_WHOLE_MAX else f"{line[:11]}…{line[-8:]}"
