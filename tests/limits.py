"""The limits that tests work under.

In production each wait has an end of a few seconds, for a caller who waits. A test is no caller: its set-up
takes as long as it takes, and a machine that is busy with other things proves nothing. So tests have limits
that only a hang meets, and a test that is about the service's own limits asks for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from django.db import connection

from foundation.database import configuration
from foundation.database.engine import base


@dataclass(frozen=True)
class Limits:
    """After how long each wait for the database ends."""

    connect_seconds: int
    statement_ms: int
    lock_ms: int
    idle_ms: int
    answer_seconds: float | None
    ping_seconds: float

    def times(self, factor: int) -> "Limits":
        """The same waits, each so many times as long."""
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
# So many times as long a test waits for what a request waits for.
PATIENCE = 60
OF_TESTS = OF_A_REQUEST.times(PATIENCE)
# Waits for a lock end as soon as in production, and all others as late as in any test.
OF_LOCKS = replace(OF_TESTS, lock_ms=OF_A_REQUEST.lock_ms)
NONE = replace(OF_TESTS, statement_ms=0, lock_ms=0, idle_ms=0, answer_seconds=None)

present = [OF_TESTS]
USUAL_OPTIONS = connection.settings_dict["OPTIONS"]["options"]


def limit(limits: Limits) -> None:
    """From now on this process's connections have these limits, the present one of this thread too."""
    options = connection.settings_dict["OPTIONS"]
    options["connect_timeout"] = limits.connect_seconds
    session = {
        "statement_timeout": limits.statement_ms,
        "lock_timeout": limits.lock_ms,
        "idle_in_transaction_session_timeout": limits.idle_ms,
        # What a test has written need not outlive the machine.
        "synchronous_commit": "off",
    }
    # Of two settings of one name the server takes the last.
    options["options"] = " ".join([USUAL_OPTIONS, *(f"-c {name}={value}" for name, value in session.items())])
    base.PING_SECONDS_MAX = limits.ping_seconds
    # Of the class too: threads make connections of their own, and Django one beside this to drop a database.
    base.DatabaseWrapper._seconds_max = limits.answer_seconds
    connection.seconds_max = limits.answer_seconds  # type: ignore[attr-defined]
    if not connection.in_atomic_block:
        connection.close()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """These limits inside, for a test that is about them; those from before again after it."""
    assert not connection.in_atomic_block, "a connection learns of its limits when it begins"
    before = present[-1]
    present.append(limits)
    limit(limits)
    try:
        yield
    finally:
        present.pop()
        limit(before)


@contextmanager
def waits_for_locks_end() -> Iterator[None]:
    """A lock is waited for as long as in production, or as long as a test has chosen."""
    with limited(OF_LOCKS) if present == [OF_TESTS] else nullcontext():
        yield


def longer(seconds: float | tuple[float, ...]) -> float | tuple[float, ...]:
    """A wait of production as long as tests have it, or several of them."""
    if isinstance(seconds, tuple):
        return tuple(each * PATIENCE for each in seconds)
    return seconds * PATIENCE
