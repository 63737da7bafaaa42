"""Many at once: real threads, each with a database connection of its own, and a second connection for one.

Only for tests with transaction=True: what a thread sees must have been committed.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.limits import waits_for_locks_end

T = TypeVar("T")

# Long enough for any machine: what ends a test here is a hang.
THREAD_SECONDS_MAX = 300
WAITING_SECONDS_MAX = 60


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What the calls return, in their order: each in a thread, all let go at one moment.

    The first exception is raised here, after all have ended.
    """
    return [outcome.result() for outcome in outcomes_at_once(calls)]


def outcomes_at_once(calls: Sequence[Callable[[], T]]) -> list["Future[T]"]:
    """The same, where some may raise: what came of each call, all of them ended."""
    start = threading.Barrier(len(calls), timeout=THREAD_SECONDS_MAX)
    outcomes = [begin(call, start) for call in calls]
    for outcome in outcomes:
        outcome.exception(timeout=THREAD_SECONDS_MAX)
    return outcomes


def begin(call: Callable[[], T], start: threading.Barrier | None = None) -> "Future[T]":
    """Begin a call in a thread. Its connection is closed by the time its outcome is known."""
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            try:
                connection.ensure_connection()  # First: it takes longer than what is raced for.
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
    """Repeat what is answered 503 or waits too long, as a caller with a key does, and as Stripe does.

    On a machine with little to spare whoever is last in a long queue may be told to come again.
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
def locked_by_somebody(query: str, *values: str) -> Iterator[None]:
    """Another connection holds the rows of a query until the end of the block, longer than others wait."""
    with waits_for_locks_end(), second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"{query} FOR UPDATE", values)
        assert cursor.fetchall(), "there is no row to hold"
        yield


def wallet_locked_by_somebody(user_id: str) -> AbstractContextManager[None]:
    """Another connection holds a wallet's row until the end of the block."""
    return locked_by_somebody("SELECT 1 FROM wallet_wallet WHERE user_id = %s", user_id)


def wait_until_somebody_waits() -> None:
    """Return when another connection waits for a lock that this thread's connection holds."""
    give_up_at = time.monotonic() + WAITING_SECONDS_MAX
    with connection.cursor() as cursor:
        while time.monotonic() < give_up_at:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")
