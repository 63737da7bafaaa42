"""Cursors of lists. A cursor holds the id of the last row before a page. It is opaque to the caller."""

import base64
import binascii
import json

from foundation.text import is_id


def cursor_at(row_id: str) -> str:
    """Return the cursor of the page after this row: base64url of `{"id":"txn_..."}` without padding."""
    text = json.dumps({"id": row_id}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def row_id_of(cursor: str) -> str | None:
    """Return the id in a cursor; None if the cursor is not valid."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["id"]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return row_id if isinstance(row_id, str) and is_id(row_id) else None
