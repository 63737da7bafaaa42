"""Memory and processor time of the processes, read from Linux's /proc.

The figures are left out if there is no /proc or the database runs on another machine.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

PROC = Path("/proc")
# From Linux's posix-timers: the clock of a process has this kind, and its id is made of the process id.
CPUCLOCK_SCHED = 2


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
    return [worker for master in children(os.getpid()) for worker in children(master)]


def workers_by_port() -> dict[int, int]:
    """Which web worker holds a connection, by the port of the client's end; {} if there is no /proc."""
    workers = {}
    for worker in web_workers():
        with suppress(OSError):
            for opened in (PROC / str(worker) / "fd").iterdir():
                with suppress(OSError):  # It was closed meanwhile.
                    workers[os.readlink(opened)] = worker
    try:
        sockets = [line.split() for line in (PROC / "net" / "tcp").read_text().splitlines()[1:]]
    except OSError:
        return {}
    # The third field is the address of the other end, in hex; the tenth is the inode.
    return {
        int(fields[2].partition(":")[2], 16): workers[f"socket:[{fields[9]}]"]
        for fields in sockets
        if f"socket:[{fields[9]}]" in workers
    }


def database_backends(database: str | None = None) -> list[int]:
    """The PostgreSQL processes that serve the web workers, if they run on this machine.

    Without a name, those of the database of Django's connection. This process's own connection is left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = coalesce(%s, current_database())"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
            [database],
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    return [pid for pid in pids if _name(pid).startswith("postgres")]


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time that these processes have used so far, with the kernel's time for them."""
    return sum(seconds_by_process(pids).values())


def seconds_by_process(pids: Iterable[int]) -> dict[int, float]:
    """Processor time of each of these processes so far, to the nanosecond; without those that have ended.

    It comes from the process's own clock in Linux, since /proc counts in steps of 10 ms: a PostgreSQL process
    may use no more than that in a second.
    """
    seconds = {}
    for pid in pids:
        with suppress(OSError):  # The process has ended.
            seconds[pid] = time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    return seconds


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


def children(parent: int) -> list[int]:
    """The child processes of a process."""
    pids = [int(folder.name) for folder in PROC.glob("[0-9]*")]
    return [pid for pid in pids if (fields := _status(pid)) and int(fields[1]) == parent]


def parent(pid: int) -> int | None:
    """The process that a process is a child of; None if there is no such process here."""
    fields = _status(pid)
    return int(fields[1]) if fields else None


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
