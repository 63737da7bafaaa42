"""The directory of the sandbox's state: DATA_DIR/sandbox, readable only by this user."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.database import configuration


def path() -> Path:
    """The directory; it is created if it does not exist."""
    directory = configuration.data_directory(os.environ) / "sandbox"
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


@contextmanager
def locked() -> Iterator[Path]:
    """Lock the directory against other processes of this machine, and yield it."""
    directory = path()
    with open(directory / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory
