"""A real HTTP server that answers each path as a test tells it: Stripe or the SSO issuer at its worst."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]
MEGABYTE = 1024 * 1024


def content(body: bytes, status: int = 200, **headers: str) -> Answer:
    """These bytes; underscores in the names of headers mean hyphens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Type": "application/json"} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def json_of(value: Any, status: int = 200, **headers: str) -> Answer:
    """This value as JSON."""
    return content(json.dumps(value).encode(), status, **headers)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
# Answers that never end: their beginning, and the bytes that follow it without end. BODY is a whole body.
DRIPS = {
    "the status line": (b"HTTP/1.1 200 O", b"K"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX-Drip: ", b"."),
    "the body": (b"HTTP/1.1 200 OK\r\n\r\nBODY", b" "),
    "the size of a chunk": (CHUNKED + b"\r\nBODY\r\n1;", b"a"),
    "trailers": (CHUNKED + b"\r\nBODY\r\n0\r\n", b"X: y\r\n"),
    "trailers before a close": (CHUNKED + b"Connection: close\r\n\r\nBODY\r\n0\r\n", b"X: y\r\n"),
}
DRIPS_SECONDS = 60


def dripping(name: str, given_up: threading.Event, body: bytes = b"{}") -> Answer:
    """One of DRIPS, a byte each 0.1 s for a minute. `given_up` is set if the client hangs up before that."""
    beginning, endless = DRIPS[name]
    chunk = f"{len(body):x}\r\n".encode() + body if beginning.startswith(CHUNKED) else body

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(beginning.replace(b"BODY", chunk))
            for number in range(DRIPS_SECONDS * 10):
                handler.wfile.write(endless[number % len(endless) :][:1])
                time.sleep(0.1)
        except ConnectionError:
            given_up.set()

    return answer


def slow(answer: bytes) -> Answer:
    """These bytes, one at a time."""

    def answer_slowly(handler: BaseHTTPRequestHandler) -> None:
        for number in range(len(answer)):
            handler.wfile.write(answer[number : number + 1])
            time.sleep(0.002)

    return answer_slowly


class ScriptedServer:
    """Answers by `answers`, a dictionary of paths; other paths get `otherwise`."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.otherwise: Answer = content(b"", 404)
        self.requests: list[str] = []
        # How many bytes of the last answer the client took before it hung up.
        self.taken_bytes = 0
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                script.requests.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with suppress(ConnectionError):  # The client may have hung up.
                    script.answers.get(path, script.otherwise)(self)

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def megabytes(self, count: int, beginning: bytes = b"", **headers: str) -> Answer:
        """An answer of this size. `taken_bytes` tells how much of it was taken."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            for name, value in ({"Content_Type": "application/json"} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(beginning) + count * MEGABYTE))
            handler.end_headers()
            handler.wfile.write(beginning)
            self.taken_bytes = 0
            for _ in range(count * 16):
                handler.wfile.write(b" " * (MEGABYTE // 16))
                self.taken_bytes += MEGABYTE // 16

        return answer

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running() -> Iterator[ScriptedServer]:
    """A server that stops at the end of the block."""
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.stop()
