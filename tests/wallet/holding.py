"""Holds that began in the past, so that a test need not wait for their end."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from wallet.charges import debits
from wallet.models import Hold


@transaction.atomic
def past_hold(user_id: str = "usr_1", *, credits: int = 1, key: str = "past:1", **row: Any) -> Hold:
    """A hold that was made an hour ago and reached its end half an hour ago, but is open in the books."""
    product = row.setdefault("product", "blog")
    after = debits.set_aside(user_id=user_id, credits=credits, product=product)
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
    return Hold.objects.create(wallet_id=user_id, credits=credits, idempotency_key=key, **facts | row)
