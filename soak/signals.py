"""Signals to processes, which may end at any time."""

import os
import signal
import subprocess
from contextlib import suppress


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal, unless the process has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children_of(pid: int) -> list[int]:
    """The process ids of its children, oldest first."""
    listed = subprocess.check_output(["ps", "-eo", "pid=,ppid="], text=True).splitlines()  # noqa: S607
    return sorted(int(child) for child, parent in map(str.split, listed) if int(parent) == pid)
