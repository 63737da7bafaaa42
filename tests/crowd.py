"""Parallel calls in real threads, each with its own database connection, and a second connection.

Only for tests with transaction=True: a thread sees only committed rows.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests import clusters
from tests.limits import waits_for_locks_end

T = TypeVar("T")

# Long enough for any machine: only a hang reaches it.
THREAD_SECONDS_MAX = 300
WAITING_SECONDS_MAX = 60


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run each call in a thread, all starting at one moment, and return the results in order.

    Raises the first exception after all calls have ended.
    """
    return [outcome.result() for outcome in outcomes_at_once(calls)]


def outcomes_at_once(calls: Sequence[Callable[[], T]]) -> list["Future[T]"]:
    """The same for calls that may raise: the finished future of each call."""
    start = threading.Barrier(len(calls), timeout=THREAD_SECONDS_MAX)
    outcomes = [begin(call, start) for call in calls]
    for outcome in outcomes:
        outcome.exception(timeout=THREAD_SECONDS_MAX)
    return outcomes


def begin(call: Callable[[], T], start: threading.Barrier | None = None) -> "Future[T]":
    """Start a call in a thread. Its connection is closed before its outcome is set."""
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            try:
                connection.ensure_connection()  # First, because it takes longer than the race itself.
                if start:
                    start.wait()
                result = call()
            finally:
                connection.close()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=work, daemon=True).start()
    return outcome


def patiently(call: Callable[[], T]) -> T:
    """Repeat a call that is answered 503 or times out, as callers with a key and Stripe do.

    On a busy machine the last call in a long queue may get such an answer.
    """
    give_up_at = time.monotonic() + THREAD_SECONDS_MAX
    while time.monotonic() < give_up_at:
        try:
            result = call()
        except OperationalError:
            continue
        if getattr(result, "status_code", None) != 503:
            return result
        time.sleep(0.1)
    return call()


@contextmanager
def second_connection() -> Iterator[BaseDatabaseWrapper]:
    """Another connection of this thread to the same database."""
    other = connection.copy()
    try:
        yield other
    finally:
        other.close()


@contextmanager
def locked_by_another(query: str, *values: str) -> Iterator[None]:
    """Lock the rows of a query with another connection, until the end of the block."""
    with waits_for_locks_end(), second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"{query} FOR UPDATE", values)
        assert cursor.fetchall(), "there is no row to hold"
        yield


def wallet_locked_by_another(user_id: str) -> AbstractContextManager[None]:
    """Lock a wallet's row with another connection until the end of the block."""
    return locked_by_another("SELECT 1 FROM wallet_wallet WHERE user_id = %s", user_id)


# Whether a connection waits for this one, and the queries that wait for locks.
WAITS_FOR_ME = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
WAITING = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
# On a cluster, they wait on other nodes. These are the queries as they came in.
WAITS_FOR_ME_ON_A_CLUSTER = "SELECT 1 FROM citus_lock_waits WHERE blocking_gpid = citus_backend_gpid()"
WAITING_ON_A_CLUSTER = "SELECT DISTINCT ON (waiting_gpid) blocked_statement FROM citus_lock_waits"


def wait_until_another_waits() -> None:
    """Wait until another connection waits for a lock that this thread's connection holds."""
    give_up_at = time.monotonic() + WAITING_SECONDS_MAX
    with connection.cursor() as cursor:
        while time.monotonic() < give_up_at:
            cursor.execute(WAITS_FOR_ME_ON_A_CLUSTER if clusters.nodes() else WAITS_FOR_ME)
            if cursor.fetchone():
                return
            time.sleep(0.01)
    raise AssertionError("no connection waits")


def wait_until_all_wait(number: int) -> list[str]:
    """Wait until this many connections wait for locks; the queries that wait."""
    give_up_at = time.monotonic() + WAITING_SECONDS_MAX
    with connection.cursor() as cursor:
        while time.monotonic() < give_up_at:
            # Otherwise PostgreSQL shows what it read first in this transaction.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(WAITING_ON_A_CLUSTER if clusters.nodes() else WAITING)
            queries = [query for (query,) in cursor.fetchall()]
            if len(queries) >= number:
                return queries
            time.sleep(0.01)
    raise AssertionError(f"{len(queries)} connections wait")
