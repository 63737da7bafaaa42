"""The processes of a sandbox: started, watched and stopped together."""

import ctypes
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from foundation.database import configuration
from foundation.database.configuration import NoDatabase
from foundation.errors import BillingError
from sandbox.environment import WILDCARD_HOSTS
from sandbox.private_postgres import PrivateServer

SANDBOX = (sys.executable, "-m", "sandbox")
WEB = (
    sys.executable,
    "-m",
    "gunicorn",
    "--config",
    "python:misar_billing.gunicorn_conf",
    "misar_billing.wsgi",
)
MAIL = (sys.executable, "manage.py", "send_mail", "--watch", "--every", "2")
TIDY = (sys.executable, "manage.py", "tidy", "--watch", "--every", "10")
SEAL = (sys.executable, "manage.py", "seal_ledger", "--watch")
STOP_SECONDS_MAX = 15  # gunicorn gives requests 10 to finish.
START_SECONDS_MAX = 60
LOOK_EVERY_SECONDS = 0.5  # Where the system cannot tell that a process has ended.
# A PostgreSQL that ends more often than this is not started again.
RESTARTS_MAX = 5
RESTARTS_SECONDS = 60
PR_SET_PDEATHSIG = 1  # From Linux's prctl.h.


class ProcessTrouble(BillingError):
    """Raised when a process of the sandbox cannot be started, or ends by itself."""


class Processes:
    """Child processes by name. Leaving the block stops them, in reverse order.

    With a private server, on which this process must have a lease, PostgreSQL is watched too: if it ends, it
    is started again, and `say` gets a sentence about it. gunicorn and the mail sender connect to it again by
    themselves.
    """

    def __init__(self, server: PrivateServer | None = None, say: Callable[[str], None] = print) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._server = server
        self._say = say
        self._restarts: deque[float] = deque(maxlen=RESTARTS_MAX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path = configuration.ROOT,
        environ: Mapping[str, str] | None = None,
    ) -> int:
        """Start a child that ends with this process, even if this one is killed. Return its process id.

        `folder` is a checkout of the service. Without `environ` the child gets this process's environment.
        """
        process = self._running[name] = subprocess.Popen(  # noqa: S603 (commands of our own)
            command,
            cwd=folder,  # Python finds the modules of these commands here.
            env=environ,
            stdin=subprocess.DEVNULL,
            # Ctrl-C in the terminal reaches only this process, which then stops the children in order.
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),
        )
        return process.pid

    def wait_until_healthy(self, name: str, host: str, port: int) -> None:
        """Wait until GET /health answers 200."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not is_healthy(host, port):
            self._wait(0.2)
            if time.monotonic() > give_up_at:
                raise ProcessTrouble(f"{name} did not answer within {START_SECONDS_MAX} seconds.")

    def watch(self) -> None:
        """Wait for ever. Raise ProcessTrouble if a child ends, or if PostgreSQL cannot be started again."""
        while True:
            self._wait(None)

    def _wait(self, seconds: float | None) -> None:
        """Wait until a process ends, for at most `seconds` (None: no limit), and react to the end."""
        pids: list[int | None] = [process.pid for process in self._running.values()]
        if self._server is not None:
            pids.append(self._server.pid())
        if not wait_for_an_end(pids, seconds):
            return
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ProcessTrouble(f"{name} ended by itself (exit code {code}).")
        if self._server is not None and not self._server.is_running():
            self._start_again(self._server)

    def _start_again(self, server: PrivateServer) -> None:
        now = time.monotonic()
        if len(self._restarts) == RESTARTS_MAX and now - self._restarts[0] < RESTARTS_SECONDS:
            raise ProcessTrouble(f"PostgreSQL ended {RESTARTS_MAX + 1} times in {RESTARTS_SECONDS} seconds.")
        self._restarts.append(now)
        self._say("PostgreSQL has ended. Starting it again.")
        try:
            server.start_again()
        except NoDatabase as trouble:
            raise ProcessTrouble(f"PostgreSQL cannot be started again. {trouble}") from trouble
        self._say("PostgreSQL is running again, with its data.")


def wait_for_an_end(pids: Iterable[int | None], seconds: float | None) -> bool:
    """Wait until one of these processes ends, for at most `seconds`. Return whether one may have ended.

    If a process id is unknown (None), or the system cannot watch processes (macOS, an old kernel), this waits
    for at most half a second and returns True. The caller must then check the processes.
    """
    ends = select.poll()
    with ExitStack() as stack:
        try:
            for pid in pids:
                descriptor = os.pidfd_open(pid or 0)  # 0 is refused with an OSError.
                stack.callback(os.close, descriptor)
                ends.register(descriptor, select.POLLIN)
        except ProcessLookupError:
            return True
        except (AttributeError, OSError):
            time.sleep(LOOK_EVERY_SECONDS if seconds is None else min(seconds, LOOK_EVERY_SECONDS))
            return True
        return bool(ends.poll(None if seconds is None else seconds * 1000))


def is_healthy(host: str, port: int) -> bool:
    """Whether GET /health answers 200 there."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def refuse_busy_ports(ports: Mapping[str, tuple[str, int]]) -> None:
    """Raise ProcessTrouble if one of these addresses is in use; each is named by its variable."""
    for variable, (host, port) in ports.items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ProcessTrouble(
                    f"{host}:{port} is not free ({error.strerror}). Stop what uses it, or set {variable}."
                ) from error


def exit_cleanly_on_signals() -> None:
    """Make SIGTERM, SIGHUP and Ctrl-C end this process cleanly, with exit code 0."""

    def leave(signum: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # A second Ctrl-C is ignored: stopping takes a limited time.
        raise SystemExit(0)

    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it, and it stays ignored.
        signals.append(signal.SIGHUP)
    for each in signals:
        signal.signal(each, leave)


def _reachable(host: str) -> str:
    return "localhost" if host in WILDCARD_HOSTS else host


def _ends_with(parent: int) -> Callable[[], None] | None:
    """Called in the child between fork and exec: terminate it when the parent ends. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # The parent ended before the line above.
            os._exit(1)

    return end_with_parent
