"""When keys were last used.

A process remembers the last use of each key that it has read. So it asks the database at most once a minute
for each key, and almost all requests neither read nor write a use.

A use that cannot be recorded soon is left out: no request fails for it. On a cluster the uses are on the
coordinator, and charges go on while that is down.
"""

import logging
from datetime import datetime, timedelta

from django.db import Error, connection

from foundation.errors import first_line

logger = logging.getLogger(__name__)

RECORDED_EVERY = timedelta(minutes=1)
# How long a request may wait for one of the two statements, once a minute.
WAIT_SECONDS_MAX = 0.25
REMEMBERED_MAX = 10_000  # Then all are forgotten, and read again when they are needed.

# Each statement is a transaction of its own, so the row is locked only while PostgreSQL runs the statement. A
# request does not wait for another one that records the same use, but skips it.
LAST_USE = "SELECT used_at FROM accounts_keyuse WHERE digest = %(digest)s"
FIRST_USE = "INSERT INTO accounts_keyuse (digest, used_at) VALUES (%(digest)s, %(at)s) ON CONFLICT DO NOTHING"
NEXT_USE = """
UPDATE accounts_keyuse SET used_at = %(at)s
 WHERE digest IN (SELECT digest FROM accounts_keyuse WHERE digest = %(digest)s AND used_at <= %(due)s
                     FOR NO KEY UPDATE SKIP LOCKED)
"""

_remembered: dict[str, datetime] = {}


def note(digest: str, *, at: datetime) -> None:
    """Record that the key with this digest was used, unless a use of the last minute is recorded."""
    # What is remembered can be older than what the database has, because other processes record uses too. It
    # is never newer. So if it is of the last minute, there is nothing to do.
    if _is_due(_remembered.get(digest), at):
        try:
            recorded = _recorded(digest, at)
        except Error as error:
            if connection.in_atomic_block:
                raise  # The transaction is lost.
            logger.warning("The last use of a key was not recorded: %s", first_line(error))
            recorded = at  # It is tried again in a minute.
        if len(_remembered) >= REMEMBERED_MAX:
            _remembered.clear()
        _remembered[digest] = recorded


def _recorded(digest: str, at: datetime) -> datetime:
    """Return the last use that is recorded, after recording this one if it is due."""
    values: dict[str, str | datetime] = {"digest": digest, "at": at, "due": at - RECORDED_EVERY}
    with connection.cursor() as cursor:
        # Both statements are sent at once, in a transaction of their own.
        limit = f"SET LOCAL statement_timeout = {WAIT_SECONDS_MAX * 1000:.0f}; "
        if connection.in_atomic_block:
            limit = ""
        cursor.execute(limit + LAST_USE, values)
        if limit:
            cursor.nextset()
        row = cursor.fetchone()
        recorded: datetime | None = row[0] if row else None
        if recorded is not None and not _is_due(recorded, at):
            return recorded
        cursor.execute(limit + (FIRST_USE if recorded is None else NEXT_USE), values)
    return at


def _is_due(recorded: datetime | None, at: datetime) -> bool:
    return recorded is None or at - recorded >= RECORDED_EVERY
