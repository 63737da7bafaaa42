"""The time limits of the tests.

In production each wait ends after a few seconds, because a caller is waiting. In a test a slow set-up or a
busy machine is no failure. So tests have limits that only a hang reaches, and a test of the service's own
limits sets them itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection

from foundation.database import configuration
from foundation.database.engine import base
from tests import clusters


@dataclass(frozen=True)
class Limits:
    """How long each kind of wait for the database may last."""

    connect_seconds: int
    statement_ms: int
    lock_ms: int
    idle_ms: int
    answer_seconds: float | None
    ping_seconds: float

    def times(self, factor: int) -> "Limits":
        """The same limits, each `factor` times longer."""
        return Limits(
            connect_seconds=self.connect_seconds * factor,
            statement_ms=self.statement_ms * factor,
            lock_ms=self.lock_ms * factor,
            idle_ms=self.idle_ms * factor,
            answer_seconds=self.answer_seconds and self.answer_seconds * factor,
            ping_seconds=self.ping_seconds * factor,
        )


OF_A_REQUEST = Limits(
    connect_seconds=configuration.CONNECT_TIMEOUT_SECONDS,
    statement_ms=configuration.STATEMENT_TIMEOUT_MS,
    lock_ms=configuration.LOCK_TIMEOUT_MS,
    idle_ms=configuration.IDLE_IN_TRANSACTION_TIMEOUT_MS,
    answer_seconds=base.ANSWER_SECONDS_MAX,
    ping_seconds=base.PING_SECONDS_MAX,
)
# A test waits this many times longer than a request.
PATIENCE = 60
OF_TESTS = OF_A_REQUEST.times(PATIENCE)
# Production's limit for locks, the tests' limits for all other waits.
OF_LOCKS = replace(OF_TESTS, lock_ms=OF_A_REQUEST.lock_ms)
NONE = replace(OF_TESTS, statement_ms=0, lock_ms=0, idle_ms=0, answer_seconds=None)

present = [OF_TESTS]
# Called when the limits have changed. A run through a pooler sets them on its sessions (pooled_run.py).
on_change: Callable[[], None] | None = None
USUAL_OPTIONS = connection.settings_dict["OPTIONS"]["options"]


def limit(limits: Limits) -> None:
    """Set the limits of this process's connections, this thread's present one included."""
    options = connection.settings_dict["OPTIONS"]
    options["connect_timeout"] = limits.connect_seconds
    session = {
        "statement_timeout": limits.statement_ms,
        "lock_timeout": limits.lock_ms,
        "idle_in_transaction_session_timeout": limits.idle_ms,
        # Tests need no data after a crash.
        "synchronous_commit": "off",
    }
    # If a setting is named twice, the server takes the last.
    options["options"] = " ".join([USUAL_OPTIONS, *(f"-c {name}={value}" for name, value in session.items())])
    base.PING_SECONDS_MAX = limits.ping_seconds
    # On the class too: threads have their own connections, and Django opens another one to drop a database.
    base.DatabaseWrapper._seconds_max = limits.answer_seconds
    connection.seconds_max = limits.answer_seconds  # type: ignore[attr-defined]
    if not connection.in_atomic_block:
        connection.close()
    if on_change:
        on_change()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Set these limits inside the block, for a test of the limits, and restore the earlier ones after it."""
    assert not connection.in_atomic_block, "a connection gets its limits when it is opened"
    before = present[-1]
    present.append(limits)
    _limit_all(limits)
    try:
        yield
    finally:
        present.pop()
        _limit_all(before)


def _limit_all(limits: Limits) -> None:
    limit(limits)
    if clusters.is_one():
        clusters.wait_for_locks(limits.lock_ms)


@contextmanager
def waits_for_locks_end() -> Iterator[None]:
    """Wait for locks as long as production does, unless the test has set other limits."""
    with limited(OF_LOCKS) if present == [OF_TESTS] else nullcontext():
        yield


def longer(seconds: Any) -> Any:
    """One of production's limits, or several, as long as the tests need them."""
    if isinstance(seconds, tuple):
        return tuple(each * PATIENCE for each in seconds)
    return seconds * PATIENCE
