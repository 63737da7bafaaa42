"""Grants that began in the past, also those that have ended and are not written off."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from tests.wallet.granted import CAPS
from wallet import identifiers
from wallet.books import ledger
from wallet.charges import lots
from wallet.grants import caps
from wallet.models import Entry, Lot

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@transaction.atomic
def past_grant(
    user_id: str = "usr_1",
    credits: int = 10,
    *,
    ended: timedelta | None = 30 * MINUTE,
    at: datetime | None = None,
    product: str = "blog",
    reason: str = "Welcome",
) -> Lot:
    """A grant of then that ended so long ago, or with None ends tomorrow. Nothing was written off.

    The user's entries before it must be older.
    """
    now = timezone.now()
    ends = now + DAY if ended is None else now - ended
    ledger.open_wallet(user_id)
    read = ledger.lock(user_id)
    assert read is not None, "the wallet was opened"
    began = at or min(ends, now) - HOUR
    entry, _ = ledger.post(
        replace(read, read_at=began),
        credits=credits,
        granted=credits,
        kind=Entry.Kind.GRANT,
        actor="service:wsk_test" if product else "user:staff:1",
        product=product,
        reason=reason,
        idempotency_key=identifiers.grant_id(),
    )
    lot = Lot.objects.create(
        wallet_id=user_id,
        entry=entry,
        product=product,
        reason=reason,
        credits=credits,
        remaining=credits,
        created_at=began,
        expires_at=ends,
    )
    lots.begin(entry, lot)
    if product:
        caps.count(product, CAPS, credits, month=began.date().replace(day=1))
    return lot
