"""A client for many callers in one thread, with little processor time: it loads the machine it runs on."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.errors import BillingError

Address = tuple[str, int]

CONTENT_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)
CONNECT_SECONDS_MAX = 5.0
# Longer than any answer may take. A caller that gives up earlier says so.
ANSWER_SECONDS_MAX = 60.0


class Unreachable(BillingError):
    """Raised when no connection could be made: nothing was sent."""


class CutOff(BillingError):
    """Raised when the connection ended after the request was sent and before its answer had come."""


class NoAnswer(BillingError):
    """Raised when no answer came in the time that the caller waits."""


@dataclass(frozen=True)
class Answer:
    """An answer, and the seconds from the sending of its request to its last byte."""

    status: int
    head: bytes
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_of_the_service(self) -> bool:
        """Whether the service answered. The proxy's own answers lack gunicorn's name."""
        return b"\r\nserver: gunicorn" in self.head.lower()


def post(path: str, body: object, headers: dict[str, str]) -> bytes:
    """A POST with a JSON body (or a body that is bytes already), ready to send."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
    } | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one open request."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.is_open = True
        self._received = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end_of_head, body = self._received.partition(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head) if end_of_head else None
        if length and len(body) >= int(length[1]):
            if b"\r\nconnection: close" in head.lower():
                self.close()
            self._finish(head, body)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        head, end_of_head, body = self._received.partition(b"\r\n\r\n")
        if error is None and end_of_head and not CONTENT_LENGTH.search(head):
            self._finish(head, body)
        elif self._answer and not self._answer.done():
            self._answer.set_exception(CutOff("The connection ended before the answer."))

    def _finish(self, head: bytes, body: bytes) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result((head, body))

    async def ask(self, request: bytes, seconds_max: float) -> Answer:
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        began_at = time.perf_counter()
        self.transport.write(request)
        try:
            head, body = await asyncio.wait_for(self._answer, seconds_max)
        except TimeoutError:
            self.close()
            raise NoAnswer(f"No answer within {seconds_max:.0f} s.") from None
        return Answer(int(head[9:12]), head, body, time.perf_counter() - began_at)

    def close(self) -> None:
        self.is_open = False
        self.transport.close()


class Line:
    """A caller's way to the service: a kept-alive connection to one of the addresses.

    If an address refuses connections, the next attempt goes to another one.
    """

    def __init__(self, addresses: Sequence[Address], *, first: int = 0) -> None:
        self._addresses = addresses
        self._turn = first
        self._connection: Connection | None = None

    async def ask(self, request: bytes, seconds_max: float = ANSWER_SECONDS_MAX) -> Answer:
        """Send a request and wait for its answer. Raises Unreachable, CutOff or NoAnswer."""
        if self._connection is None or not self._connection.is_open:
            self._connection = await self._connected()
        try:
            return await self._connection.ask(request, seconds_max)
        except (CutOff, NoAnswer):
            self._turn += 1
            raise

    async def _connected(self) -> Connection:
        address = self._addresses[self._turn % len(self._addresses)]
        opening = asyncio.get_running_loop().create_connection(Connection, *address)
        try:
            _, connection = await asyncio.wait_for(opening, CONNECT_SECONDS_MAX)
        except OSError as error:  # A TimeoutError is one.
            self._turn += 1
            raise Unreachable(f"{address[0]}:{address[1]} cannot be reached.") from error
        return connection

    def close(self) -> None:
        if self._connection:
            self._connection.close()
