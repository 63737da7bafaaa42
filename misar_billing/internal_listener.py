"""The internal listener: `/ready`, `/health` and `/metrics`, on a port that is not public.

gunicorn's master opens the socket, and each worker answers on it with threads of its own. So requests that
wait for a thread delay neither the checks of the proxy nor the metrics.
"""

import json
import logging
import mmap
import os
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

logger = logging.getLogger(__name__)

# A client on this port that sends nothing for this long is dropped.
SILENT_CLIENT_SECONDS = 1.0
# As many connections of one worker are answered at once. /health and /metrics may take seconds, and /ready
# must not wait for them.
AT_ONCE = 8

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
    _socket = socket.create_server((host, int(port)), family=family, backlog=64)
    _socket.setblocking(False)  # Another worker may accept the connection that this one was woken for.


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
    timeout = SILENT_CLIENT_SECONDS

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
