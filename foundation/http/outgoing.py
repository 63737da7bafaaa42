"""Limit the answers that the service reads from other services, such as Stripe and the SSO issuer.

`requests` limits only the time between two pieces of an answer. It reads an answer of any size into memory,
and an answer that arrives a few bytes at a time never ends.
"""

import socket
import time
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from foundation import deadlines
from foundation.http.strict_json import depth_of

CHUNK_BYTES = 64 * 1024
# Answers of Stripe and of an issuer have less than 20 levels. Python's parser, and the classes that Stripe's
# library makes of an answer, recurse into each level until the stack is full.
NESTING_MAX = 100

# When the call of this thread must end, by time.monotonic(). urllib3 has no parameter for it.
_give_up_at: ContextVar[float] = ContextVar("give_up_at")


class AnswerTooLong(requests.RequestException):
    """Raised when an answer has more bytes than allowed."""


class AnswerTooDeep(requests.RequestException):
    """Raised when the brackets of an answer are nested in more than NESTING_MAX levels."""


def bounded(session: requests.Session, *, bytes_max: int, seconds_max: float) -> requests.Session:
    """Make a session refuse redirects, and answers of more than `bytes_max` bytes or NESTING_MAX levels.

    Return the session.

    An answer must end within `seconds_max` seconds after the call began. This limits each read from the
    connection: of the status line, the headers, the body, and what stands between and after its chunks.
    Connecting has only the timeout of the call. For wrong answers, the session raises a
    requests.RequestException.
    """
    session.max_redirects = 0  # A redirect could carry what we sent to another host.
    session.headers["Accept-Encoding"] = "identity"  # A small compressed answer could become huge.
    # A connection that was kept may have been closed by the other side, and the call would need a retry.
    session.headers["Connection"] = "close"
    for scheme in ("https://", "http://"):
        session.mount(scheme, _BoundedAdapter(bytes_max, seconds_max))
    return session


class _BoundedAdapter(HTTPAdapter):
    def __init__(self, bytes_max: int, seconds_max: float) -> None:
        super().__init__()
        self._bytes_max, self._seconds_max = bytes_max, seconds_max

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _with_timed_answers(type(pool).ConnectionCls)
        return pool

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        with deadlines.paused():
            return self._send(request, *args, **kwargs)

    def _send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        _give_up_at.set(time.monotonic() + self._seconds_max)
        answer = super().send(request, *args, **kwargs | {"stream": True})
        body = bytearray()
        try:
            while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=False):
                body += chunk
                if len(body) > self._bytes_max:
                    raise AnswerTooLong(f"the answer is too long, after {len(body)} bytes", request=request)
        except HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            answer.raw.close()
        if depth_of(body.decode(errors="replace")) > NESTING_MAX:
            raise AnswerTooDeep(f"the answer has more than {NESTING_MAX} levels", request=request)
        answer.raw = BytesIO(body)
        return answer


@cache
def _with_timed_answers(connection_class: Any) -> Any:
    """Return a subclass of this class of connections, for HTTP, HTTPS or a proxy."""
    return type(connection_class.__name__, (connection_class,), {"response_class": _TimedAnswer})


class _TimedAnswer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: BufferedReader = BufferedReader(_TimedReader(sock, self.fp.detach(), _give_up_at.get()))


class _TimedReader(RawIOBase):
    """Reads a socket until a point in time. The timeout of the socket begins again with each byte."""

    def __init__(self, sock: socket.socket, raw: RawIOBase, give_up_at: float) -> None:
        self._sock, self._raw, self._give_up_at = sock, raw, give_up_at
        self._timeout = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(min(left, self._timeout or left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
