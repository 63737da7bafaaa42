"""Which database errors allow a retry: an immediate retry here, or a later retry by the caller."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from foundation import deadlines

P = ParamSpec("P")
T = TypeVar("T")

TRIES_MAX = 3
PAUSE_SECONDS = 0.02
# After these errors the whole transaction is rolled back, so it can be retried immediately. A lock timeout is
# not in this list, because the caller has already waited long enough.
WORTH_ANOTHER_TRY = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
# What a trigger of a cluster says if the rows of its wallet moved to another node since the statement began.
# Citus gives it no code of its own.
MOVED_AWAY = "cannot execute a distributed query from a query on a shard"


def retried(verb: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that opens its own transaction, to retry the function up to two times.

    The function is retried after a deadlock, a serialization failure, or a move of the wallet to another node
    of a cluster. Inside a caller's transaction it runs only once: only the outermost one can be retried.
    """

    @wraps(verb)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                return verb(*args, **kwargs)
            except DatabaseError as error:
                victim = isinstance(error.__cause__, WORTH_ANOTHER_TRY) or has_moved_away(error)
                if not (victim and tries_left) or connection.in_atomic_block or deadlines.is_over():
                    raise
                time.sleep(PAUSE_SECONDS * (1 + random.random()))  # noqa: S311 (jitter, no secret)
        raise AssertionError("unreachable: the last try returns or raises")

    return again


def has_moved_away(error: BaseException | None) -> bool:
    """Return whether a statement failed because a cluster was moving the wallet. Nothing was changed."""
    cause = getattr(error, "__cause__", None)
    return isinstance(cause, psycopg.errors.InternalError_) and MOVED_AWAY in str(cause)


def is_out_of_reach(error: BaseException | None) -> bool:
    """Return whether the error means that the database was down, slow, locked, or read-only after a failover.

    As far as we know, nothing was changed. A retry may succeed.
    """
    if isinstance(error, OperationalError | InterfaceError) or has_moved_away(error):
        return True
    return isinstance(error, DatabaseError) and isinstance(
        error.__cause__, psycopg.errors.ReadOnlySqlTransaction
    )
