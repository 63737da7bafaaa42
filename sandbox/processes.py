"""The processes of a sandbox: started, watched and stopped together."""

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
STOP_SECONDS_MAX = 15  # gunicorn gives requests 10 to finish.
START_SECONDS_MAX = 60
PR_SET_PDEATHSIG = 1  # From Linux's prctl.h.


class ProcessTrouble(BillingError):
    """Raised when a process of the sandbox cannot be started, or ends by itself."""


class Processes:
    """Child processes by name. Leaving the block stops them, in reverse order."""

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
        """Start a child that ends with this process, even if this one is killed."""
        self._running[name] = subprocess.Popen(  # noqa: S603 (commands of our own)
            command,
            cwd=configuration.ROOT,  # Python finds the modules of these commands here.
            stdin=subprocess.DEVNULL,
            # Ctrl-C in the terminal reaches only this process, which then stops the children in order.
            start_new_session=True,
            preexec_fn=_ends_with(os.getpid()),
        )

    def wait_until_healthy(self, name: str, host: str, port: int) -> None:
        """Wait until GET /health answers 200."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not is_healthy(host, port):
            self.require_all()
            if time.monotonic() > give_up_at:
                raise ProcessTrouble(f"{name} did not answer within {START_SECONDS_MAX} seconds.")
            time.sleep(0.2)

    def watch(self) -> None:
        """Wait for ever; raise ProcessTrouble when a child ends by itself."""
        while True:
            self.require_all()
            time.sleep(0.5)

    def require_all(self) -> None:
        """Raise ProcessTrouble unless every child is alive."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ProcessTrouble(f"{name} ended by itself (exit code {code}).")


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
