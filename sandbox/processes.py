"""The processes of a sandbox: started together, watched, and stopped together."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Self

from foundation.database import configuration
from foundation.errors import BillingError
from sandbox.environment import WILDCARD_HOSTS

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
STOP_SECONDS_MAX = 15  # gunicorn lets requests end for 10.
START_SECONDS_MAX = 60
PR_SET_PDEATHSIG = 1  # From Linux's prctl.h.


class ProcessTrouble(BillingError):
    """Raised when a process of the sandbox cannot be started, or ends by itself."""


class Processes:
    """Child processes by name. Leaving the block stops them, the last one started first."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

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

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a child that ends with this process, even when this one is killed."""
        self._running[name] = subprocess.Popen(  # noqa: S603 (commands of our own)
            command,
            cwd=configuration.ROOT,  # Where Python finds the modules these commands name.
            stdin=subprocess.DEVNULL,
            # Ctrl-C at the terminal is for this process, which then stops the children in order.
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),
        )

    def wait_until_healthy(self, name: str, host: str, port: int) -> None:
        """Return when GET /health is answered with 200."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not is_healthy(host, port):
            self.require_all()
            if time.monotonic() > give_up_at:
                raise ProcessTrouble(f"{name} did not answer within {START_SECONDS_MAX} seconds.")
            time.sleep(0.2)

    def watch(self) -> None:
        """Return never; raise when a child ends by itself."""
        while True:
            self.require_all()
            time.sleep(0.5)

    def require_all(self) -> None:
        """Raise unless every child is alive."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ProcessTrouble(f"{name} ended by itself (exit code {code}).")


def is_healthy(host: str, port: int) -> bool:
    """Does GET /health answer 200 there?"""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def refuse_busy_ports(ports: Mapping[str, tuple[str, int]]) -> None:
    """Raise when somebody listens on one of these addresses, each named by the variable that moves it."""
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
    """From now on SIGTERM, SIGHUP and Ctrl-C end this process in order, with exit code 0."""

    def leave(signum: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # Stopping takes a bounded time; a second Ctrl-C waits too.
        raise SystemExit(0)

    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # Under nohup it is, and stays so.
        signals.append(signal.SIGHUP)
    for each in signals:
        signal.signal(each, leave)


def _reachable(host: str) -> str:
    return "localhost" if host in WILDCARD_HOSTS else host


def _ends_with(parent: int) -> Callable[[], None] | None:
    """For the child between fork and exec: be terminated when the parent is gone. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It went before the line above.
            os._exit(1)

    return end_with_parent
