"""When the database fails a transaction: is a retry worth it, at once or later?"""

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
# The whole transaction was rolled back. (A lock timeout is not here: it has waited long enough.)
WORTH_ANOTHER_TRY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


def retried(verb: Callable[P, T]) -> Callable[P, T]:
    """Run a verb that owns its transaction, up to three times if PostgreSQL ends it because of a deadlock.

    Inside a caller's transaction it runs once: only the outermost transaction can start again.
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

    As far as we know nothing has moved, and a retry may succeed.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and isinstance(
        error.__cause__, psycopg.errors.ReadOnlySqlTransaction
    )
