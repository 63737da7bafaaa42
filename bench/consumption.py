"""Memory and processor time of the processes, read from Linux's /proc.

The figures are left out if there is no /proc or the database runs on another machine.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """A process's memory in bytes.

    Pages that it shares with other processes count in full in `rss`, by its share in `pss`, and not in `uss`,
    which is what would be freed if the process ended.
    """

    rss: int
    pss: int
    uss: int


def web_workers() -> list[int]:
    """The gunicorn workers: the children of the only child of this process that has children."""
    return [worker for master in _children(os.getpid()) for worker in _children(master)]


def database_backends() -> list[int]:
    """The PostgreSQL processes that serve the web workers, if they run on this machine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    return [pid for pid in pids if _name(pid).startswith("postgres")]


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time that these processes have used so far, with the kernel's time for them."""
    ticks = 0
    for pid in pids:
        fields = _status(pid)
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def processor_seconds_of_machine() -> float:
    """Processor time that all processes of the machine and its kernel have used so far."""
    try:
        total = (PROC / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, *interrupts_and_steal = map(int, total[1:9])
    return (user + nice + system + sum(interrupts_and_steal)) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> Memory | None:
    """A process's memory now."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
    return Memory(rss=sizes["Rss"], pss=sizes["Pss"], uss=sizes["Private_Clean"] + sizes["Private_Dirty"])


def _children(parent: int) -> list[int]:
    pids = [int(folder.name) for folder in PROC.glob("[0-9]*")]
    return [pid for pid in pids if (fields := _status(pid)) and int(fields[1]) == parent]


def _status(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; [] if there is no such process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text()
    except OSError:
        return ""
