"""The internal listener: `/ready`, `/health` and `/metrics`, on a port that is not public.

gunicorn's master opens the socket, and each worker answers on it with threads of its own. So requests that
wait for a thread delay neither the checks of the proxy nor the metrics.
"""

import io
import json
import logging
import mmap
import os
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

from misar_billing.file_descriptors import NONE_LEFT, PAUSE_SECONDS

logger = logging.getLogger(__name__)

# The head of a request on this port has to arrive in this time, and its answer has to be taken in as much.
CLIENT_SECONDS_MAX = 1.0
HEAD_BYTES_MAX = 8192
# As many connections of one worker are answered at once. /health and /metrics may take seconds, and /ready
# must not wait for them.
AT_ONCE = 8

TRIES = 5

# One byte that the master and its workers share: 1 from SIGTERM on.
_draining = mmap.mmap(-1, 1)
_socket: socket.socket | None = None


def begin_draining() -> None:
    """Let every worker say that this server takes no new requests."""
    _draining[0] = 1


def is_draining() -> bool:
    """Return whether the master has got SIGTERM."""
    return _draining[0] == 1


def open_socket() -> None:
    """Open the socket, in the master, before it forks. Without INTERNAL_PORT there is none."""
    global _socket
    if not (port := os.environ.get("INTERNAL_PORT")):
        return
    host = os.environ.get("INTERNAL_HOST") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    _socket = _bound((host, int(port)), family)
    _socket.setblocking(False)  # Another worker may accept the connection that this one was woken for.


def _bound(address: tuple[str, int], family: socket.AddressFamily) -> socket.socket:
    """Return a socket for this address. Try as long as gunicorn does: another master may be stopping."""
    for tries_left in reversed(range(TRIES)):
        try:
            return socket.create_server(address, family=family, backlog=64)
        except OSError:
            if not tries_left:
                raise
            time.sleep(1)
    raise AssertionError("unreachable: the last try returns or raises")


def serve() -> None:
    """Answer on this socket in a thread of this worker, until the worker ends."""
    if _socket:
        server = _Server(_socket)
        threading.Thread(target=server.serve_forever, name="internal listener", daemon=True).start()


def _answer(path: str) -> tuple[int, bytes, str]:
    """Return status, body and content type.

    What needs Django is imported here, because gunicorn's configuration imports this module before it.
    """
    if path == "/ready":
        # Not a question to the database: without it, refusals in the right envelope still come from here.
        return (503, b"draining", "text/plain") if is_draining() else (200, b"ready", "text/plain")
    if path == "/health":
        return _health()
    if path == "/metrics":
        from misar_billing.metrics.exposition import exposition

        return 200, *exposition()
    return 404, b"There is nothing at this address.", "text/plain"


def _health() -> tuple[int, bytes, str]:
    from django.db import connections

    from misar_billing.health import answer

    try:
        status, body = answer()
    finally:
        connections.close_all()  # The thread ends with this answer.
    return status, json.dumps(body).encode(), "application/json"


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS_MAX

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BytesIO(self._head())
        self.connection.settimeout(CLIENT_SECONDS_MAX)

    def _head(self) -> bytes:
        """Read the head. A client that sends a byte from time to time must not keep its place."""
        head, give_up_at = b"", time.monotonic() + CLIENT_SECONDS_MAX
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES_MAX:
            if (left := give_up_at - time.monotonic()) <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            if not (more := self.connection.recv(HEAD_BYTES_MAX)):
                break
            head += more
        return head

    def do_GET(self) -> None:
        try:
            status, body, content_type = _answer(self.path.partition("?")[0])
        except Exception:
            logger.exception("The internal listener could not answer %s", self.path)
            status, body, content_type = HTTPStatus.INTERNAL_SERVER_ERROR, b"", "text/plain"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *ignored: Any) -> None:
        """Log nothing: checks come every second."""


class _Server(ThreadingMixIn, HTTPServer):
    """A server on a socket that is already open, with at most AT_ONCE threads."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError as trouble:
            if trouble.errno in NONE_LEFT:  # Without a pause, the loop of the server would be a busy one.
                time.sleep(PAUSE_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # No thread can be started.
            self._places.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: the client went away."""
