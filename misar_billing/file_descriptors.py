"""File descriptors of the web server: as many as allowed, a reserve, and refusals when none is left."""

import errno
import os
import resource
import time
from typing import Any

# More are never needed, and some systems allow a billion.
LIMIT_MAX = 65536
# Of a worker: modules, logs, pipes, the heartbeat, calls to Stripe and to the SSO issuer.
RESERVE = 64
# Of a thread: its connection to PostgreSQL, a selector, and two to spare.
RESERVE_PER_THREAD = 4
NONE_LEFT = {errno.EMFILE, errno.ENFILE}
PAUSE_SECONDS = 0.05


def limit() -> int:
    """Return how many file descriptors a process may have after `raise_limit`."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], LIMIT_MAX)


def raise_limit() -> None:
    """Raise the soft limit. Workers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit()), hard))


def connections_at_most(wanted: int, *, threads: int) -> int:
    """Return how many connections a worker may hold, so that it does not run out of file descriptors."""
    return max(threads, min(wanted, limit() - RESERVE - RESERVE_PER_THREAD * threads))


def refuse_when_none_is_left(listener: Any) -> None:
    """Close a new connection if no file descriptor is left for it; gunicorn's worker would end instead."""
    accept = listener.accept
    spare = _spare()

    def accept_or_refuse() -> Any:
        nonlocal spare
        try:
            return accept()
        except OSError as trouble:
            if trouble.errno not in NONE_LEFT:
                raise
        for descriptor in spare:
            os.close(descriptor)
        try:
            accept()[0].close()
        except OSError:  # Another thread took the descriptor. Without a pause, this loop would be a busy one.
            time.sleep(PAUSE_SECONDS)
        spare = _spare()
        # gunicorn ignores this error.
        raise ConnectionAbortedError(errno.ECONNABORTED, "refused, because no file descriptor is left")

    listener.accept = accept_or_refuse


def _spare() -> list[int]:
    """Return one open file descriptor, or none if none is left."""
    try:
        return [os.open(os.devnull, os.O_RDONLY)]
    except OSError:
        return []
