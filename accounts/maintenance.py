"""Maintenance: while it lasts, the service accepts no change. A row of the database says so to all processes.

A charge must not pay for this with a query of its own. So a process remembers for a second what it has read,
and `begin` is complete only after that second and the longest request (the command `maintenance` waits).
"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import Error, ProgrammingError, connection, models
from django.db.models import Q
from django.db.models.functions import Now

from foundation.database import nodes
from foundation.errors import BillingError, first_line
from foundation.text import is_printable, is_visible

logger = logging.getLogger(__name__)

REASON_LENGTH = 200
# A process relies at most this long on what it has read.
REMEMBERED_SECONDS = 1.0
# From this age on, one thread reads it again. The other threads need not wait for that.
RENEWED_AFTER_SECONDS = 0.5
# The longest request: staff have 8 seconds for a page, and besides may wait 6 seconds for a turn at Stripe
# and 9 for its answer. A batch has 3 seconds until it is read, and then 8.
REQUEST_SECONDS_MAX = 24.0

READ = "SELECT reason FROM public.accounts_maintenance"
# Rounds of background work share this lock of PostgreSQL; `begin` waits until no round has it. On a cluster
# each node has such a lock: a round holds that of the node that it entered, and `begin` asks each node.
LOCK = "hashtextextended('misar maintenance', 0)"
IS_FREE = f"SELECT pg_try_advisory_xact_lock({LOCK})::text"
# Transactions of other sessions that have written something, and since when they run. A node of a cluster may
# also have prepared one, which is committed soon, or when the cluster notices that its session has died. Each
# node compares the times by its own clock.
WRITING = """
SELECT coalesce(json_agg(json_build_array(role, since, pid, application, prepared)), '[]')::text FROM (
    SELECT usename::text, xact_start, pid, application_name, NULL
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
     UNION ALL
    SELECT owner::text, prepared, NULL, '', gid FROM pg_prepared_xacts WHERE database = current_database()
    ) AS writing (role, since, pid, application, prepared)
 WHERE since < clock_timestamp() - interval '1 second' * {seconds}
"""


class Maintenance(models.Model):
    """The maintenance that lasts now. There is at most one row."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    reason = models.CharField(max_length=REASON_LENGTH, help_text="Users read it on every page.")
    since = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="accounts_maintenance_is_one")]

    def __str__(self) -> str:
        return self.reason


class ReasonRefused(BillingError):
    """Raised for a reason that can't be shown."""

    status = 400


@dataclass(frozen=True)
class Writer:
    """A transaction that has written something: whose it is, since when it runs, and which one it is."""

    role: str
    since: datetime
    name: str


@dataclass(frozen=True)
class Known:
    """Why there is maintenance (None: there is none), and when this was known, on the monotonic clock."""

    reason: str | None
    at: float


_known = Known(None, float("-inf"))
_renewing = threading.Lock()
_is_readable = True


def reason() -> str | None:
    """Return why the service accepts no change now, or None if it accepts changes.

    The answer is at most REMEMBERED_SECONDS old. Raises an error of Django's database layer if it can't be.
    """
    known = _known
    age = time.monotonic() - known.at
    if age < RENEWED_AFTER_SECONDS:
        return known.reason
    if age >= REMEMBERED_SECONDS:
        return _read()
    if not _renewing.acquire(blocking=False):
        return known.reason
    try:
        return _read()
    except Error:
        return known.reason  # It is still young enough.
    finally:
        _renewing.release()


def last_known() -> str | None:
    """Return the same for a page that only shows it. If the database is out of reach: what was known last."""
    try:
        return reason()
    except Error:
        return _known.reason


def remember(reason: str | None, *, at: float | None = None) -> str | None:
    """Remember in this process what holds, and return it."""
    global _known
    _known = Known(reason, time.monotonic() if at is None else at)
    return reason


def _read() -> str | None:
    global _is_readable
    at = time.monotonic()  # Before the query: what it finds may be older than its answer, but not than this.
    try:
        with connection.cursor() as cursor:
            cursor.execute(READ)
            row = cursor.fetchone()
    except ProgrammingError as error:
        # Before `migrate` there is no table, and before `database_roles` no role but the owner may use it. So
        # maintenance cannot have begun, and this is no reason to refuse every charge.
        if _is_readable:  # Log it once, not twice a second.
            logger.error("Whether there is maintenance cannot be read: %s", first_line(error))
        _is_readable, row = False, None
    else:
        _is_readable = True
    return remember(row[0] if row else None, at=at)


def begin(reason: str) -> Maintenance:
    """Begin the maintenance, or replace the reason of the one that lasts. Raises ReasonRefused."""
    reason = reason.strip()
    if reason and reason[-1] not in ".!?":
        reason += "."
    if not (is_visible(reason) and is_printable(reason) and len(reason) <= REASON_LENGTH):
        raise ReasonRefused(
            f"The reason must be a printable sentence of at most {REASON_LENGTH} characters: users read it."
        )
    Maintenance.objects.update_or_create(pk=1, defaults={"reason": reason})
    remember(reason)
    return Maintenance.objects.get()


def end() -> bool:
    """End the maintenance. Return whether there was one. Each process notices within REMEMBERED_SECONDS."""
    ended, _ = Maintenance.objects.all().delete()
    remember(None)
    return bool(ended)


@contextmanager
def round_of_work() -> Iterator[str | None]:
    """Hold the lock for a round of background work. Yield why the round is left out, or None.

    Raises NeedsOwnSession if the connection leads through a pooler: the lock belongs to a session.
    """
    connection.require_own_session("Background work")  # type: ignore[attr-defined]
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_lock_shared({LOCK})")
        yield _read()  # Not what is remembered: `begin` may have had the lock since then.
    finally:
        # If the connection was lost, so was the lock.
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_unlock_shared({LOCK})")


def is_a_round_running() -> bool:
    """Return whether a round of background work that began before the maintenance is still running."""
    return "false" in nodes.answers(IS_FREE).values()


def still_writing(*, seconds: float) -> list[Writer]:
    """Return the transactions of other sessions that began so many seconds ago and have written something.

    On a cluster, a session is named as on the node that its client entered, wherever it writes.
    """
    found: dict[str, Writer] = {}
    own = nodes.own_session()
    for node, answer in nodes.answers(WRITING.replace("{seconds}", f"{seconds:.3f}")).items():
        for role, began, pid, application, prepared in json.loads(answer):
            name = f"prepared transaction {prepared} of {node or 'PostgreSQL'}"
            if prepared is None:
                entered = nodes.session_of(application) or (node, pid)
                if entered == own:
                    continue
                name = f"process {entered[1]} of {entered[0] or 'PostgreSQL'}"
            writer = Writer(role, datetime.fromisoformat(began), name)
            found[name] = min(writer, found.get(name, writer), key=lambda each: each.since)
    return sorted(found.values(), key=lambda writer: writer.since)
