"""When keys were last used.

A process remembers the last use of each key that it has read. So it asks the database at most once a minute
for each key, and almost all requests neither read nor write a use.
"""

from datetime import datetime, timedelta

from django.db import connection

from accounts.models import KeyUse

RECORDED_EVERY = timedelta(minutes=1)
REMEMBERED_MAX = 10_000  # Then all are forgotten, and read again when they are needed.

# Each statement is a transaction of its own, so the row is locked only while PostgreSQL runs the statement. A
# request does not wait for another one that records the same use, but skips it.
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
        recorded = KeyUse.objects.filter(digest=digest).values_list("used_at", flat=True).first()
        if _is_due(recorded, at):
            values: dict[str, str | datetime] = {"digest": digest, "at": at, "due": at - RECORDED_EVERY}
            with connection.cursor() as cursor:
                cursor.execute(FIRST_USE if recorded is None else NEXT_USE, values)
            recorded = at
        if len(_remembered) >= REMEMBERED_MAX:
            _remembered.clear()
        assert recorded is not None, "a use that is not due was read"
        _remembered[digest] = recorded


def _is_due(recorded: datetime | None, at: datetime) -> bool:
    return recorded is None or at - recorded >= RECORDED_EVERY
