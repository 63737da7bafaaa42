"""When the database fails a transaction: is it worth another try, at once or later?"""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

TRIES_MAX = 3
PAUSE_SECONDS = 0.02
# The whole transaction was undone, so nothing moved. (A lock timeout is not here: it has waited enough.)
WORTH_ANOTHER_TRY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


def retried(verb: Callable[P, T]) -> Callable[P, T]:
    """Try a verb that owns its transaction up to three times when it was the victim of a deadlock.

    Inside somebody else's transaction it runs once: only the outermost can begin again.
    """

    @wraps(verb)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return verb(*args, **kwargs)
            except OperationalError as error:
                victim = isinstance(error.__cause__, WORTH_ANOTHER_TRY)
                if not (victim and tries_left) or connection.in_atomic_block:
                    raise
                time.sleep(PAUSE_SECONDS * (1 + random.random()))  # noqa: S311 (jitter, no secret)
        raise AssertionError("unreachable: the last try returns or raises")

    return again


def is_out_of_reach(error: BaseException | None) -> bool:
    """Whether the database could not do its work: gone, too slow, locked, or read-only after a failover.

    Nothing is known to have moved, and asking again may well succeed.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and isinstance(
        error.__cause__, psycopg.errors.ReadOnlySqlTransaction
    )
