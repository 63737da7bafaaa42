"""The folder in which the workers of one gunicorn count, each in files of its own.

gunicorn's master makes it before it starts workers. prometheus_client decides at its import whether it counts
in files, so this module imports it late, and the master nowhere else.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "misar-metrics-"
LOCK = "lock"
IN_MEMORY = Path("/dev/shm")  # noqa: S108 (mkdtemp makes a private folder in it)
ENDED = "0"  # In the place of a process's number: the counts of all workers that have ended.

_held: int | None = None


def prepare() -> None:
    """Make the folder and name it in the environment, and remove those of masters that were killed."""
    global _held
    parent = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _remove_left_ones(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # As long as the master or one of its workers lives, the lock is held.
        _held = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(_held, fcntl.LOCK_SH)
    except OSError as error:
        logger.warning("No folder for metrics: each worker counts for itself. %s", error)
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = str(folder)


def forget(pid: int) -> None:
    """Drop what an ended worker was doing, and add its counts to those of all ended workers."""
    if not (folder := directory()):
        return
    with suppress(OSError), alone(folder) as is_alone:
        for left in folder.glob(f"gauge_live*_{pid}.db"):
            left.unlink(missing_ok=True)
        if is_alone:
            for kind in ("counter", "histogram"):
                _add_up(folder, kind, pid)


def remove() -> None:
    """Remove the folder, at the end of the master."""
    if folder := directory():
        shutil.rmtree(folder, ignore_errors=True)


def directory() -> Path | None:
    """Return the folder; None if this process counts for itself."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a lock, so that counts are not read while they are added up. Yield False if it was not free.

    The master never waits for it: a worker that was stopped could hold it.
    """
    with open(folder / "adding-up", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _add_up(folder: Path, kind: str, pid: int) -> None:
    """Add the counts of an ended worker to one file, so that files do not pile up."""
    from prometheus_client.mmap_dict import MmapedDict

    mine, all_ended = folder / f"{kind}_{pid}.db", folder / f"{kind}_{ENDED}.db"
    if not mine.exists():
        return
    fresh = folder / f"{kind}.new"
    fresh.unlink(missing_ok=True)
    if all_ended.exists():
        shutil.copyfile(all_ended, fresh)
    sums = MmapedDict(str(fresh))
    for key, value, _, _ in MmapedDict.read_all_values_from_file(str(mine)):
        sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
    sums.close()
    fresh.replace(all_ended)
    mine.unlink()


def _remove_left_ones(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
