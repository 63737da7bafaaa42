"""A real gunicorn with production's settings and tests.held_app, and a real haproxy in front of it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from django.conf import settings

from sandbox.environment import free_port
from soak.proxy import CONFIGURATION, program
from tests.deployment import eventually

PATIENCE = 120


@dataclass
class Server:
    """One gunicorn: a worker with two threads, unless the environment says otherwise."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    internal_port: int = field(default_factory=free_port)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        usual = {
            "HELD_IN": str(self.folder),
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.internal_port),
            "TRUSTED_PROXIES": "127.0.0.1",
            "WEB_WORKERS": "1",
            "WEB_THREADS": "2",
            "LOG_LEVEL": "ERROR",
            # How long gunicorn waits for a worker, and for what runs when it stops: longer on a busy machine.
            "GUNICORN_CMD_ARGS": f"--timeout={PATIENCE} --graceful-timeout={PATIENCE}",
        }
        command = [sys.executable, "-m", "gunicorn", "--config", "python:misar_billing.gunicorn_conf"]
        self.process = subprocess.Popen(
            [*command, "tests.held_app"], cwd=settings.BASE_DIR, env=os.environ | usual | self.environment
        )
        eventually(lambda: self.internal("/ready") == "ready")

    def internal(self, path: str) -> str:
        """What the internal listener answers."""
        try:
            return requests.get(f"http://127.0.0.1:{self.internal_port}{path}", timeout=PATIENCE).text
        except requests.ConnectionError:
            return "no answer"

    def arrived(self) -> list[dict]:
        """The requests that have arrived."""
        return [json.loads(path.read_text() or "{}") for path in self.folder.glob("arrived-*")]

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold what arrives until the end of the block."""
        (self.folder / "hold").touch()
        try:
            yield
        finally:
            (self.folder / "hold").unlink()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # Without draining.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=PATIENCE)
        self.process.kill()


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Server]:
    """One running server."""
    server = Server(folder, environment)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Proxy:
    """A running haproxy."""

    port: int
    internal_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def figure(self, name: str, **labels: str) -> float:
        """One of haproxy's metrics."""
        text = requests.get(f"http://127.0.0.1:{self.internal_port}/metrics", timeout=PATIENCE).text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in text.splitlines():
            found = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
            if found and all(each in found[1] for each in wanted):
                return float(found[2])
        raise AssertionError(f"haproxy has no {name} with {labels}")

    def is_up(self, server: str) -> bool:
        return self.figure("haproxy_server_status", server=server, state="UP") == 1


def haproxy() -> str:
    """The program. Skips the test if there is none."""
    return program() or pytest.skip("haproxy is not installed")


@contextmanager
def proxying(
    port: int, internal_port: int, *, log: Path | str = os.devnull, **environment: str
) -> Iterator[Proxy]:
    """A proxy in front of the server at this port, with its internal listener at the other."""
    proxy = Proxy(free_port(), free_port())
    usual = {
        "PROXY_HTTP_BIND": f"127.0.0.1:{proxy.port}",
        "PROXY_INTERNAL_BIND": f"127.0.0.1:{proxy.internal_port}",
        "SERVER_ONE": f"127.0.0.1:{port}",
        "SERVER_ONE_INTERNAL_PORT": str(internal_port),
        "SERVER_THREADS": "2",
    }
    with open(log, "w") as stdout:
        process = subprocess.Popen(
            [haproxy(), "-db", "-f", str(CONFIGURATION)],
            env=os.environ | usual | environment,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
    try:
        eventually(lambda: _answers(f"http://127.0.0.1:{proxy.internal_port}/alive"))
        yield proxy
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False
