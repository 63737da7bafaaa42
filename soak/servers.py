"""gunicorn as it really runs, once for each host; it can be stopped, started again and have a wrong clock."""

import http.client
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

from sandbox.environment import free_port
from sandbox.processes import WEB, Processes
from sandbox.signals import children_of, send
from soak.client import ANSWER_SECONDS_MAX, Address

HOST = "127.0.0.1"
LIBRARY = "libfaketimeMT.so.1"


def logged(command: tuple[str, ...], log: Path) -> tuple[str, ...]:
    """The command, writing what it prints to a file: it would mix with the figures."""
    return ("/bin/sh", "-c", 'log=$0; exec "$@" >>"$log" 2>&1', str(log), *command)


class Server:
    """One host: a gunicorn with its workers."""

    def __init__(self, name: str, environ: Mapping[str, str], folder: Path, *, drain_seconds: float) -> None:
        """`drain_seconds`: how long it goes on after SIGTERM, until the proxy sends it nothing new."""
        self.name = name
        self.port, self.internal_port = free_port(), free_port()
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self._environ = dict(environ) | {
            "HOST": HOST,
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.internal_port),
            "INTERNAL_HOST": HOST,
            "DRAIN_SECONDS": str(drain_seconds),
        }
        self._running = ExitStack()
        self._pid = 0

    @property
    def address(self) -> Address:
        return HOST, self.port

    def start(self, clock: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is healthy. `clock` is what `wrong_clock` returns."""
        self.launch(clock)
        self.wait()

    def launch(self, clock: Mapping[str, str] | None = None) -> None:
        self._processes = self._running.enter_context(Processes())
        environ = self._environ | dict(clock or {})
        usual, wrong = "python:misar_billing.gunicorn_conf", "python:soak.wrong_clock"
        command = tuple(wrong if clock and word == usual else word for word in WEB)
        self._pid = self._processes.start(self.name, logged(command, self.log), environ=environ)

    def wait(self) -> None:
        """Wait until it is healthy."""
        self._processes.wait_until_healthy(self.name, *self.address)

    def stop(self) -> None:
        """Send SIGTERM, and wait until it has finished what runs."""
        self._running.close()

    @contextmanager
    def worker_stopped(self) -> Iterator[None]:
        """One worker stands still inside this block."""
        pid, *_ = children_of(self._pid)
        send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            send(pid, signal.SIGCONT)

    def days_off(self) -> float:
        """How many days its clock is ahead of ours, by the Date of an answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request("GET", "/health")
            date = connection.getresponse().getheader("Date", "")
        finally:
            connection.close()
        return (parsedate_to_datetime(date).timestamp() - time.time()) / 86_400

    def kill_worker(self) -> None:
        """Kill one worker; gunicorn starts another one."""
        pid, *_ = children_of(self._pid)
        send(pid, signal.SIGKILL)


def faketime() -> Path | None:
    """The library that gives a process a wrong clock; None where it is not installed."""
    places = (*Path("/usr/lib").glob("*/faketime"), Path("/usr/lib/faketime"), Path("/usr/lib64/faketime"))
    return next((library for place in places if (library := place / LIBRARY).exists()), None)


def wrong_clock(days: int) -> dict[str, str]:
    """Variables for a process whose clock is this many days off. Its monotonic clocks stay right.

    So do the times of files: gunicorn's heartbeat is one. Without the last setting, libfaketime 0.9.10 ends
    waits for Python's own lock at once, and a server needs four times the processor time.
    """
    return {
        "LD_PRELOAD": str(faketime()),
        "FAKETIME": f"{days:+d}d",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }
