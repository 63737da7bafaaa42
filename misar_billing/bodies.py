"""Read the body of a request before its time begins, and give up on a client that sends it slowly.

gunicorn drops a client that is silent for two seconds. A client that sends a byte a second would occupy a
thread for as long as it likes. So a body that is not complete in time is cut off.
"""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

# One byte more than any endpoint accepts, so that Django can see that a body is too long and refuse it.
BODY_BYTES_MAX = 1024 * 1024 + 1
# From the end of the headers to the end of the body.
BODY_SECONDS_MAX = 5.0
LOOKS_EVERY_SECONDS = 0.5


def read_whole(environ: dict[str, Any]) -> None:
    """Replace `wsgi.input` by a body that is in memory, or by one that fails if the body did not arrive.

    The length of a chunked body is set; without a length, Django would treat the body as empty. A body that
    is declared longer than any endpoint accepts is left alone: nothing reads it.
    """
    is_chunked = "HTTP_TRANSFER_ENCODING" in environ
    declared = environ.get("CONTENT_LENGTH") or "0"
    length = int(declared) if declared.isdigit() else 0
    if not is_chunked and not 0 < length <= BODY_BYTES_MAX:
        return
    try:
        with _cut_off_later(environ.get("gunicorn.socket")):
            body = environ["wsgi.input"].read(BODY_BYTES_MAX if is_chunked else length)
    except Exception:  # The client stopped sending, or sent wrong chunks.
        body = None
    if body is None or (not is_chunked and len(body) < length):
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = _Broken(), "1"
    else:
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


class _Broken(io.RawIOBase):
    """A body that did not arrive completely: reading it raises OSError."""

    def read(self, size: int = -1) -> bytes:
        raise OSError("the body did not arrive")


# The connections from which a body is being read, and when each is cut off. A change is one step of Python,
# so no lock is needed, which each charge would have to take.
_reading: dict[socket.socket, float] = {}


@contextmanager
def _cut_off_later(client: socket.socket | None) -> Iterator[None]:
    """While the block reads from this connection, cut it off if it takes too long. A test client has none."""
    if client is None:
        yield
        return
    _watch()
    _reading[client] = time.monotonic() + BODY_SECONDS_MAX
    try:
        yield
    finally:
        del _reading[client]


@cache
def _watch() -> threading.Thread:
    """Start the thread that cuts off the slow, at the first body of this process."""
    watching = threading.Thread(target=_cut_off_the_slow, name="slow bodies", daemon=True)
    watching.start()
    return watching


def _cut_off_the_slow() -> None:
    """End the reading of each slow body: the reader then sees the end of what was sent."""
    while True:
        time.sleep(LOOKS_EVERY_SECONDS)
        now = time.monotonic()
        for client, end_at in _reading.copy().items():
            if end_at <= now:
                with suppress(OSError):  # It may have gone by itself.
                    client.shutdown(socket.SHUT_RD)
