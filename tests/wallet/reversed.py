"""Refunds and disputes of payments: the objects and events of Stripe, and users whose payments went back."""

import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry, TopUp
from wallet.payments import reversals


def refund_of(payment_intent_id: str, cents: int, id: str = "re_1", **fields: Any) -> dict[str, Any]:
    """A refund as Stripe shows it; fields can be changed."""
    return {
        "id": id,
        "object": "refund",
        "amount": cents,
        "currency": "usd",
        "status": "succeeded",
        "charge": f"ch_{payment_intent_id}",
        "payment_intent": payment_intent_id,
        "reason": None,
        "created": int(time.time()),
        "metadata": {},
    } | fields


def charge_of(payment_intent_id: str, refunded_cents: int, **fields: Any) -> dict[str, Any]:
    """A charge as Stripe shows it after refunds; fields can be changed."""
    return {
        "id": f"ch_{payment_intent_id}",
        "object": "charge",
        "amount": 2500,
        "amount_refunded": refunded_cents,
        "currency": "usd",
        "livemode": False,
        "payment_intent": payment_intent_id,
        "created": int(time.time()),
        "metadata": {},
    } | fields


def dispute_of(
    payment_intent_id: str, *moved_cents: int, id: str = "dp_1", status: str = "needs_response", **fields: Any
) -> dict[str, Any]:
    """A dispute as Stripe shows it, with a balance transaction for each sum that moved so far."""
    moved = [
        {"id": f"txn_{id}_{number}", "object": "balance_transaction", "amount": cents, "currency": "usd"}
        for number, cents in enumerate(moved_cents)
    ]
    return {
        "id": id,
        "object": "dispute",
        "amount": abs(moved_cents[0]) if moved_cents else 2500,
        "currency": "usd",
        "status": status,
        "reason": "fraudulent",
        "charge": f"ch_{payment_intent_id}",
        "payment_intent": payment_intent_id,
        "balance_transactions": moved,
        "livemode": False,
        "created": int(time.time()),
        "metadata": {},
    } | fields


def event_of(type: str, about: dict[str, Any], id: str = "", **event: Any) -> dict[str, Any]:
    """An event about a refund, a charge or a dispute, as Stripe sends it; fields can be changed."""
    return {
        "id": id or f"evt_{type}_{about['id']}",
        "object": "event",
        "type": type,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": about},
    } | event


def take_back(entry: Entry, credits: int | None = None) -> Entry:
    """Stripe reports a dispute that took the money of a top-up, or a part of it; the clawback."""
    payment_intent_id = TopUp.objects.get(entry=entry).payment_intent_id
    cents = 100 * (entry.credits if credits is None else credits)
    # A payment is disputed once for each of these calls.
    number = Entry.objects.filter(kind="clawback", stripe_session_id=entry.stripe_session_id).count()
    dispute = dispute_of(payment_intent_id, -cents, id=f"dp_{number}_{payment_intent_id}")
    reversals.dispute(dispute, happened_at=timezone.now())
    return Entry.objects.of_user(entry.wallet_id).filter(kind="clawback")[0]


def leave_owing(give: Callable[..., Entry], user_id: str, credits: int) -> Entry:
    """A user spends what they have and a new payment too, which is then disputed; the clawback.

    `give` is the fixture. The user then owes these credits.
    """
    entry = give(user_id, credits)
    debits.debit(
        user_id=user_id,
        credits=available_of(user_id),
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=1,
        product="blog",
    )
    return take_back(entry)
