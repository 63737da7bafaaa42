"""Reading a wallet's history, page by page."""

from dataclasses import dataclass

from misar_billing.cursors import cursor_at, row_id_of
from wallet.errors import InvalidCursor
from wallet.models import Entry

PAGE_DEFAULT = 20
PAGE_MAX = 100


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and where the next page begins; None after the last."""

    entries: list[Entry]
    next_cursor: str | None


def page(*, user_id: str, limit: int = PAGE_DEFAULT, cursor: str | None = None) -> Page:
    """Up to `limit` entries (1 to 100) older than the cursor's. Raises InvalidCursor."""
    entries = Entry.objects.of_user(user_id)
    if cursor is not None:
        entries = entries.filter(sequence__lt=_sequence_at(cursor, user_id))
    found = list(entries[: limit + 1])  # One more tells whether there is a next page.
    more = len(found) > limit
    found = found[:limit]
    return Page(found, cursor_at(found[-1].pk) if more else None)


def _sequence_at(cursor: str, user_id: str) -> int:
    # Another wallet's entry is as unknown here as one that never was.
    entries = Entry.objects.filter(wallet_id=user_id, pk=row_id_of(cursor) or "")
    found = entries.values_list("sequence", flat=True).first()
    if found is None:
        raise InvalidCursor
    return found
