"""Signals to processes, which may end at any time."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal, unless the process has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children_of(pid: int) -> list[int]:
    """The process ids of its children, oldest first."""
    listed = subprocess.check_output(["ps", "-eo", "pid=,ppid="], text=True).splitlines()  # noqa: S607
    return sorted(int(child) for child, parent in map(str.split, listed) if int(parent) == pid)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process and its children stand still inside this block. Their kernel still accepts connections."""
    family = [pid]
    send(pid, signal.SIGSTOP)  # First, so that it makes no more children.
    try:
        family += children_of(pid)
        for each in family:
            send(each, signal.SIGSTOP)
        yield
    finally:
        for each in family:
            send(each, signal.SIGCONT)
