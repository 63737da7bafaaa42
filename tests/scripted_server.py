"""A real HTTP server that answers each path as a test tells it: Stripe or the SSO issuer at its worst."""

import json
import threading
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
