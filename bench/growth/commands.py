"""The commands that read all books: how long they take, and the most memory that they need."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from bench import consumption

ROOT = Path(__file__).resolve().parents[2]
LOOK_EVERY_SECONDS = 0.1
# In this order, since the first seals what the second and the fourth look at.
COMMANDS = {
    "seal_ledger": ("seal_ledger",),
    "seal_ledger, nothing new": ("seal_ledger",),
    "check_ledger": ("check_ledger",),
    "check_ledger --seals": ("check_ledger", "--seals"),
}


@dataclass(frozen=True)
class Run:
    """One run of a command. Memory is in bytes; of PostgreSQL without its shared buffers, 0 if unknown."""

    seconds: float
    peak: int
    peak_of_database: int


def run(arguments: tuple[str, ...]) -> Run:
    """Run a command of manage.py, which must end with the exit code 0."""
    began = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 (our own command)
        [sys.executable, "manage.py", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        with _watched() as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (arguments, process.returncode)
    return Run(seconds, usage.ru_maxrss * 1024, max(peaks, default=0))


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Yield a list that grows by the bytes that PostgreSQL's processes for this database have."""
    peaks: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        try:
            while not ended.wait(LOOK_EVERY_SECONDS):
                peaks.append(sum(map(_own_bytes, consumption.database_backends())))
        finally:
            connection.close()  # A thread has a connection of its own.

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def _own_bytes(pid: int) -> int:
    """The memory of a process that is not shared and no file's, in bytes; 0 if it has ended."""
    try:
        lines = (consumption.PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
