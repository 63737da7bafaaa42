"""Corrections of a wallet by staff."""

from typing import TypedDict, Unpack

from django.db import transaction

from foundation.errors import KeyReused
from wallet.books import ledger
from wallet.books.models import Entry
from wallet.charges import debits


class Payment(TypedDict, total=False):
    """The payment that an adjustment replaces, and the id of the new entry."""

    id: str
    stripe_session_id: str


@transaction.atomic
def adjust(
    *, user_id: str, credits: int, reason: str, key: str, actor: str, **payment: Unpack[Payment]
) -> Entry:
    """Correct a wallet by hand. A positive number adds credits, a negative number takes available ones.

    If the adjustment replaces a payment, `payment` names the Checkout Session of this payment, and the id
    that the new entry gets.

    The key belongs to one decision of one staff member. The same request with the same key returns the first
    entry and changes nothing. Raises KeyReused if another request has the same key, and InsufficientCredits
    if too few credits are available. A frozen wallet can be adjusted.
    """
    assert key, "an adjustment has a key: sending the form twice moves credits once"
    # Lock the wallet first. If two requests come at the same time, the second one waits, and then finds the
    # entry of the first one.
    ledger.open_wallet(user_id)
    ledger.lock(user_id)
    kind = Entry.Kind.ADJUSTMENT
    if first := Entry.objects.with_key(user_id=user_id, product="", kind=kind, key=key).first():
        requested = (credits, reason, actor, payment.get("stripe_session_id", ""))
        if (first.credits, first.reason, first.actor, first.stripe_session_id) != requested:
            raise KeyReused
        return first
    move = ledger.credit if credits > 0 else debits.debit
    return move(
        user_id=user_id,
        credits=abs(credits),
        kind=kind,
        actor=actor,
        reason=reason,
        idempotency_key=key,
        **payment,
    )
