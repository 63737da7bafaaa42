"""SIGTERM, one server after the other, and file descriptors: what a real gunicorn does."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from misar_billing import file_descriptors
from tests.deployment import eventually
from tests.proxied import PATIENCE, Proxy, Server, haproxy, proxying, serving

pytestmark = pytest.mark.slow

# No test waits for this: a second SIGTERM ends the draining.
LONG = "600"


def ask(port: int) -> requests.Response:
    return requests.post(f"http://127.0.0.1:{port}/io/wallet/deduct", b"{}", timeout=PATIENCE)


def test_sigterm_says_so_and_finishes_what_runs(tmp_path):
    environment = {"DRAIN_SECONDS": LONG, "WEB_CONNECTIONS": "20"}
    with serving(tmp_path / "one", **environment) as server, ThreadPoolExecutor(1) as pool:
        assert ask(server.port).headers["Connection"] == "keep-alive"
        with server.holding():
            before = len(server.arrived())
            running = pool.submit(ask, server.port)
            eventually(lambda: len(server.arrived()) == before + 1)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: server.internal("/ready") == "draining")
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
        assert running.result().json()["body_bytes"] == 2
        assert server.process.wait(timeout=PATIENCE) == 0


def test_while_draining_requests_are_served_and_connections_end(tmp_path):
    with serving(tmp_path / "one", DRAIN_SECONDS=LONG, WEB_CONNECTIONS="20") as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.internal("/ready") != "ready")
        answer = ask(server.port)
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")


def test_after_its_time_to_drain_a_server_stops(tmp_path):
    with serving(tmp_path / "one", DRAIN_SECONDS="1") as server:
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=PATIENCE) == 0
        assert time.monotonic() - began >= 1


@contextmanager
def callers(proxy: Proxy) -> Iterator[list[str]]:
    """Four callers that keep their connections and never rest; the list says how each request ended."""
    outcomes: list[str] = []
    enough = threading.Event()

    def call() -> None:
        with requests.Session() as session:
            while not enough.is_set():
                try:
                    # The proxy waits for a page longer than for a charge.
                    answer = session.post(f"{proxy.url}/a-page", b"{}", timeout=PATIENCE)
                    outcomes.append(str(answer.status_code))
                except requests.RequestException as failure:
                    outcomes.append(repr(failure))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(call)
        try:
            yield outcomes
        finally:
            enough.set()


def test_two_servers_are_replaced_and_no_request_fails(tmp_path):
    haproxy()
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serving(tmp_path / name, DRAIN_SECONDS=LONG, WEB_THREADS="4"))
            for name in ("one", "two")
        )
        second = {
            "SERVER_TWO": f"127.0.0.1:{two.port}",
            "SERVER_TWO_INTERNAL_PORT": str(two.internal_port),
        }
        proxy = stack.enter_context(
            proxying(one.port, one.internal_port, SERVER_THREADS="4", PROXY_QUEUE_MIN="100", **second)
        )
        with callers(proxy) as outcomes:
            for name, server in (("one", one), ("two", two)):
                served = len(outcomes)
                eventually(lambda served=served: len(outcomes) > served + 20)
                server.process.send_signal(signal.SIGTERM)
                eventually(lambda name=name: not proxy.is_up(name))
                eventually(lambda name=name: not proxy.figure("haproxy_server_current_sessions", server=name))
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(timeout=PATIENCE) == 0
                server.start()
                eventually(lambda name=name: proxy.is_up(name))
        assert set(outcomes) == {"200"}


def descriptors(pid: int) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]


def silent_clients(server: Server, stack: ExitStack, count: int) -> list[socket.socket]:
    return [
        stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
        for _ in range(count)
    ]


def were_closed(clients: list[socket.socket]) -> int:
    """How many of them the server has closed."""
    closed = 0
    for client in clients:
        client.setblocking(False)
        try:
            closed += client.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionError:
            closed += 1
    return closed


def test_a_worker_without_file_descriptors_refuses_and_goes_on(tmp_path):
    with serving(tmp_path / "one", WEB_CONNECTIONS="250") as server:
        worker = ask(server.port).json()["pid"]
        usual = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        assert usual[0] == file_descriptors.limit()
        few = max(descriptors(worker)) + 5
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (few, usual[1]))
        with ExitStack() as stack:
            clients = silent_clients(server, stack, 100)
            eventually(lambda: were_closed(clients) >= 100 - few)
            assert len(descriptors(worker)) <= few
        resource.prlimit(worker, resource.RLIMIT_NOFILE, usual)
        eventually(lambda: serves(server))
        assert ask(server.port).json()["pid"] == worker


def serves(server: Server) -> bool:
    try:
        return ask(server.port).ok
    except requests.ConnectionError:
        return False


def test_with_a_low_limit_a_worker_takes_fewer_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 256))
    assert file_descriptors.limit() == 256
    assert file_descriptors.connections_at_most(1000, threads=8) == 256 - 64 - 8 * 4
    assert file_descriptors.connections_at_most(20, threads=8) == 20
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    assert file_descriptors.connections_at_most(1000, threads=8) == 8
