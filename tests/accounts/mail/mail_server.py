"""A mail server of the tests' own, over real SMTP, that can misbehave."""

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

HANG_SECONDS_MAX = 60


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps what it takes in `taken`, and the addresses of each RCPT TO in `recipients`.

    Refuses addresses of `refused`, hangs up at those of `hung_up_on`, is silent at the command `silent_at`
    until it `hangs_up`, and hangs up at once when `away`.
    """

    allow_reuse_address = True
    address: tuple[str, int]
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.address = ("127.0.0.1", self.socket.getsockname()[1])
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refused: set[str] = set()
        self.hung_up_on: set[str] = set()
        self.silent_at = ""
        self.away = False
        self.connections = 0
        self.fell_silent, self.hangs_up = threading.Event(), threading.Event()


class Dialogue(socketserver.StreamRequestHandler):
    """One connection."""

    server: MailServer

    def handle(self) -> None:
        self.server.connections += 1
        if self.server.away:
            return self.say("421 4.3.2 closed for anna@example.com")
        self.say("220 mail.example")
        while line := self.rfile.readline().decode().strip():
            command = line[:4].upper()
            if command == "RCPT":
                self.server.recipients.append(line.partition("<")[2].partition(">")[0])
            if command == self.server.silent_at:
                self.server.fell_silent.set()
                self.server.hangs_up.wait(HANG_SECONDS_MAX)
                return None
            if command == "RCPT" and any(address in line for address in self.server.hung_up_on):
                return None
            if command == "RCPT" and any(address in line for address in self.server.refused):
                self.say(f"550 5.1.1 no such user here: {line}")
            elif command == "DATA":
                self.say("354 go on")
                self.take()
            elif command == "QUIT":
                return self.say("221 bye")
            else:
                self.say("250 well")
        return None

    def take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        parsed: Any = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        self.server.taken.append(parsed)
        self.say("250 2.0.0 taken")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@contextmanager
def serving() -> Iterator[MailServer]:
    """A server that listens until the end of the block."""
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
