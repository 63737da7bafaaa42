"""A client that needs little processor time: raw sockets, one thread, requests prepared as bytes.

It runs on the machine that it measures, so the cost of a client library would be in the figures.
"""

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from foundation.errors import BillingError

ANSWER_SECONDS_MAX = 10
CONTENT_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)


def post(path: str, secret: str, body: object) -> bytes:
    """A POST with a service key and a JSON body, ready to send."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"x-wallet-service-key: {secret}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n"
        "\r\n"
    )
    return head.encode() + content


class NoAnswer(BillingError):
    """Raised when the server closes a connection or does not answer, so nothing can be measured."""


class Connection:
    """One kept-alive connection with at most one open request."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=ANSWER_SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    @property
    def port(self) -> int:
        """The port of this end."""
        return int(self.socket.getsockname()[1])

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Read what has arrived. Returns the answer once it is complete, None before."""
        piece = self.socket.recv(65536)
        if not piece:
            raise NoAnswer("The server closed a connection in the middle of the run.")
        self.received += piece
        head, end_of_head, body = self.received.partition(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head) if end_of_head else None
        if length is None or len(body) < int(length[1]):
            return None
        return self.received


@contextmanager
def connected(address: tuple[str, int], count: int) -> Iterator[list[Connection]]:
    """Open this many connections and close them at the end."""
    connections: list[Connection] = []
    try:
        for _ in range(count):
            connections.append(Connection(address))
        yield connections
    finally:
        for connection in connections:
            connection.socket.close()


@dataclass
class Answers:
    """The answers: a latency in seconds for each right answer, a text for each other answer.

    `seconds` is from the first request to the last answer; `processor_seconds` is the processor time that
    this process used meanwhile.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, answer: bytes, latency: float, *, is_right: Callable[[bytes], bool]) -> None:
        if answer.startswith(b"HTTP/1.1 200 ") and is_right(answer):
            self.latencies.append(latency)
        else:
            head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
            self.errors.append(f"{head.partition(' ')[2].splitlines()[0]}: {body[:200]}")


def is_allowed(answer: bytes) -> bool:
    """Whether an answer with status 200 allows a charge."""
    return b'"allowed":true' in answer


def load(
    connections: Sequence[Connection],
    requests: Iterator[bytes],
    seconds: float,
    *,
    is_right: Callable[[bytes], bool] = is_allowed,
) -> Answers:
    """Keep every connection busy for this long, then wait for the open requests.

    `is_right` decides about each answer with status 200. Every other answer is an error.
    """
    answers = Answers()
    with selectors.DefaultSelector() as selector:
        began_at, processor_before = time.perf_counter(), time.process_time()
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(requests))
        open_requests = len(connections)
        while open_requests:
            ready = selector.select(timeout=ANSWER_SECONDS_MAX)
            if not ready:
                raise NoAnswer(f"The server was silent for {ANSWER_SECONDS_MAX} seconds.")
            for key, _ in ready:
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                now = time.perf_counter()
                answers.note(answer, now - connection.sent_at, is_right=is_right)
                if now - began_at < seconds:
                    connection.send(next(requests))
                else:
                    open_requests -= 1
        answers.seconds = time.perf_counter() - began_at
        answers.processor_seconds = time.process_time() - processor_before
    return answers
