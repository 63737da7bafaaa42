"""Holds that began in the past, many holds at once, and what becomes of the wallet that they are of."""

import time
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, Func
from django.utils import timezone

from wallet.books import ledger
from wallet.charges import debits, lots
from wallet.models import Hold, Wallet

CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())


@transaction.atomic
def past_hold(user_id: str = "usr_1", *, credits: int = 1, key: str = "past:1", **row: Any) -> Hold:
    """A hold that was made an hour ago and reached its end half an hour ago, but is open in the books."""
    product = row.setdefault("product", "blog")
    after, shares = debits.set_aside(user_id=user_id, credits=credits, product=product)
    began = timezone.now() - timedelta(hours=1)
    facts = {
        "feature": "blog.article.generate",
        "count": credits,
        "available_before": after.available + credits,
        "ttl_seconds": 1800,
        "created_at": began,
        "expires_at": began + timedelta(seconds=1800),
        "actor": "service:wsk_test",
    }
    hold = Hold.objects.create(wallet_id=user_id, credits=credits, idempotency_key=key, **facts | row)
    lots.name_hold(hold, shares)
    return hold


@transaction.atomic
def many_holds(number: int, user_id: str = "usr_1", *, product: str = "blog", overdue: bool = False) -> None:
    """So many open holds of one credit each, made at once; if they are overdue, in the past."""
    began = timezone.now() - timedelta(hours=1 if overdue else 0)
    facts = {
        "product": product,
        "feature": "blog.article.generate",
        "count": 1,
        "credits": 1,
        "available_before": number,
        "ttl_seconds": 1800,
        "created_at": began,
        "expires_at": began + timedelta(seconds=1800),
        "actor": "service:wsk_test",
    }
    Hold.objects.bulk_create(
        Hold(wallet_id=user_id, idempotency_key=f"many:{began}:{each}", **facts) for each in range(number)
    )
    ledger.change(user_id, held=number, open_holds=number)


def wait_for_the_end(hold_id: str) -> None:
    """Wait until the database's clock has passed the end of a hold."""
    ended = Hold.objects.filter(pk=hold_id, expires_at__lte=CLOCK)
    while not ended.exists():
        time.sleep(0.02)


def standing(user_id: str = "usr_1") -> tuple[int, int, int]:
    """What a wallet's row says: its balance, the credits that are held, and how many holds are open."""
    wallet = Wallet.objects.get(pk=user_id)
    return wallet.balance, wallet.held, wallet.open_holds
