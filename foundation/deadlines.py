"""The deadline of a request: each of its waits takes at most what is left of its time (decision 0038).

A request waits for several things in turn: a connection, locks, statements. Each wait has a limit of its own.
The deadline limits their sum.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# How long a request may take, from the arrival of its body to the answer (contract 14). The view of a
# batch gives itself more time.
REQUEST_SECONDS = 3.0
# The pages of staff read much more than those of users, and no product waits for them.
STAFF_PAGE_SECONDS = 8.0

# The end of the time of the request that this thread is answering, by the monotonic clock.
_end_at: ContextVar[float | None] = ContextVar("end_at", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give the block this much time, from now on. It replaces the deadline that applies outside of it."""
    token = _end_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end_at.reset(token)


def seconds_left() -> float | None:
    """Return how much time is left, 0 or less if it is over; None if there is no deadline, as in commands."""
    end_at = _end_at.get()
    return None if end_at is None else end_at - time.monotonic()


def is_over() -> bool:
    """Return whether there is a deadline and it has passed."""
    left = seconds_left()
    return left is not None and left <= 0


@contextmanager
def paused() -> Iterator[None]:
    """Do not count the time of the block: a wait for another service, which has a limit of its own."""
    began = time.monotonic()
    try:
        yield
    finally:
        if (end_at := _end_at.get()) is not None:
            _end_at.set(end_at + time.monotonic() - began)
