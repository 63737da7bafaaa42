"""A client that costs little: raw sockets kept alive, one thread, requests that are ready bytes.

It shares the machine with what it measures, so a client library would show in the figures.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from foundation.errors import BillingError

ANSWER_SECONDS_MAX = 10
CONTENT_LENGTH = re.compile(rb"^content-length: *([0-9]+)\r?$", re.IGNORECASE | re.MULTILINE)


class NoAnswer(BillingError):
    """Raised when the server closes a connection or does not answer: there is nothing to measure then."""


class Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=ANSWER_SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """What there is to read; the whole answer once it is complete."""
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
    """This many connections, closed at the end."""
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
    """What came back: one latency in seconds for each charge that was allowed, one text for each other.

    `seconds` is from the first request to the last answer; `processor_seconds` is what this process used of
    them to send, to wait and to read.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, answer: bytes, latency: float) -> None:
        if answer.startswith(b"HTTP/1.1 200 ") and b'"allowed":true' in answer:
            self.latencies.append(latency)
        else:
            head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
            self.errors.append(f"{head.partition(' ')[2].splitlines()[0]}: {body[:200]}")


def load(connections: Sequence[Connection], requests: Iterator[bytes], seconds: float) -> Answers:
    """Keep every connection busy for this long, then let the requests under way be answered."""
    answers = Answers()
    with selectors.DefaultSelector() as selector:
        began_at, processor_before = time.perf_counter(), time.process_time()
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(requests))
        under_way = len(connections)
        while under_way:
            ready = selector.select(timeout=ANSWER_SECONDS_MAX)
            if not ready:
                raise NoAnswer(f"The server was silent for {ANSWER_SECONDS_MAX} seconds.")
            for key, _ in ready:
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                now = time.perf_counter()
                answers.note(answer, now - connection.sent_at)
                if now - began_at < seconds:
                    connection.send(next(requests))
                else:
                    under_way -= 1
        answers.seconds = time.perf_counter() - began_at
        answers.processor_seconds = time.process_time() - processor_before
    return answers
