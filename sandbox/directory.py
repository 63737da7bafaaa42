"""Where the stand-in keeps its state: DATA_DIR/sandbox, readable by this user alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.database import configuration


def path() -> Path:
    """The directory, made when it is not there yet."""
    directory = configuration.data_directory(os.environ) / "sandbox"
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


@contextmanager
def locked() -> Iterator[Path]:
    """The directory, while no other process of this machine holds it."""
    directory = path()
    with open(directory / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory
