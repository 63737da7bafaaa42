"""Entries as they might have been written at another time, by a host with its own clock."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from tests.wallet.entries import move, sql
from wallet.models import Entry


def at(text: str) -> datetime:
    """A moment in UTC: 2026-03-31 23:59:59."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wrote(credits: int, when: datetime | str, user_id: str = "usr_1", **entry: Any) -> Entry:
    """An entry written then: an adjustment, or what else is said. The user's first one makes the wallet."""
    moment = at(when) if isinstance(when, str) else when
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at)"
        " VALUES (%s, 0, 0, %s) ON CONFLICT DO NOTHING",
        user_id,
        timezone.now(),
    )
    entry_id = move(user_id, credits, created_at=moment, effective_at=moment, **entry)
    return Entry.objects.get(pk=entry_id)


def charged(credits: int, when: datetime | str, feature: str = "mail.send", **entry: Any) -> Entry:
    """A charge, of as many units as credits where nothing else is said."""
    facts: dict[str, Any] = {
        "kind": "deduct",
        "feature": feature,
        "product": "mail",
        "count": credits,
    } | entry
    return wrote(-credits, when, **facts)


def gave_back(charge: Entry, credits: int, when: datetime | str) -> Entry:
    """A part of a charge that came back then."""
    facts: dict[str, Any] = {"kind": "refund", "feature": charge.feature, "product": charge.product}
    return wrote(credits, when, user_id=charge.wallet_id, reverses_id=charge.pk, **facts)
