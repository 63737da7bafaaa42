"""The internal listener with clients that mean harm: it must not stop to answer the proxy's checks."""

import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from misar_billing.internal_listener import AT_ONCE
from tests.proxied import PATIENCE, serving

pytestmark = pytest.mark.slow


def drip(clients: list[socket.socket], is_over: threading.Event) -> None:
    """Send a byte of a head through each connection from time to time."""
    while not is_over.wait(0.3):
        for client in clients:
            with suppress(OSError):
                client.sendall(b"x")


def test_clients_that_send_slowly_do_not_keep_it_from_answering(tmp_path):
    with serving(tmp_path / "one") as server, ExitStack() as stack:
        address = ("127.0.0.1", server.internal_port)
        slow = [stack.enter_context(socket.create_connection(address)) for _ in range(AT_ONCE)]
        for client in slow:
            client.sendall(b"GET /")
        is_over = threading.Event()
        thread = threading.Thread(target=drip, args=(slow, is_over))
        thread.start()
        try:
            with socket.create_connection(address, timeout=PATIENCE) as asking:
                asking.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                assert b"ready" in b"".join(iter(lambda: asking.recv(1000), b""))
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize("head", [b"GET /ready HTTP/1.1\r\nX-Long: " + b"x" * 20_000, b"GET /ready"])
def test_a_head_that_is_too_long_or_cut_off_gets_no_answer_that_waits(tmp_path, head):
    with (
        serving(tmp_path / "one") as server,
        socket.create_connection(("127.0.0.1", server.internal_port), timeout=PATIENCE) as client,
    ):
        client.sendall(head)
        with suppress(OSError):  # It may have been refused by now.
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
        assert server.internal("/ready") == "ready"
