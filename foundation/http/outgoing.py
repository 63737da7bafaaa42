"""Limit the answers that the service reads from other services, such as Stripe and the SSO issuer.

`requests` limits only the time between two pieces of an answer. It reads an answer of any size into memory,
and an answer that arrives a few bytes at a time never ends.
"""

import time
from io import BytesIO
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK_BYTES = 64 * 1024


class AnswerTooLong(requests.RequestException):
    """Raised when an answer has more bytes than allowed, or takes longer than allowed."""


def bounded(session: requests.Session, *, bytes_max: int, seconds_max: float) -> requests.Session:
    """Make a session refuse answers of more than `bytes_max` bytes, and redirects; return the session.

    An answer must end within `seconds_max` seconds. This is checked when its headers have arrived, and after
    each piece of its body. For wrong answers, the session raises a requests.RequestException.
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

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        give_up_at = time.monotonic() + self._seconds_max
        answer = super().send(request, *args, **kwargs | {"stream": True})
        body = bytearray()
        try:
            while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=False):
                body += chunk
                if len(body) > self._bytes_max or time.monotonic() > give_up_at:
                    raise AnswerTooLong(f"the answer is too long, after {len(body)} bytes", request=request)
        except HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            answer.raw.close()
        answer.raw = BytesIO(body)
        return answer
