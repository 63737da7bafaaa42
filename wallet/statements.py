"""Reading a wallet's history, page by page."""

import base64
import binascii
import json
from dataclasses import dataclass

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
    return Page(found, cursor_at(found[-1]) if more else None)


def cursor_at(entry: Entry) -> str:
    """The cursor of the page after this entry: base64url of `{"id":"txn_..."}` without padding."""
    text = json.dumps({"id": entry.pk}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _sequence_at(cursor: str, user_id: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        entry_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["id"]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidCursor from error
    if not isinstance(entry_id, str) or not entry_id.isprintable():
        raise InvalidCursor
    # Another wallet's entry is as unknown here as one that never was.
    found = Entry.objects.filter(wallet_id=user_id, pk=entry_id).values_list("sequence", flat=True).first()
    if found is None:
        raise InvalidCursor
    return found
