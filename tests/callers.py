"""Callers that charge a running service without a pause, each its own wallet, and retry with the same key."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tests.conftest import paid_checkout
from tests.deployment import Deployment, eventually

CREDITS = 100_000
PAUSE_SECONDS = 0.02  # Before a retry. Products wait longer; these callers shall not sleep through a return.


@dataclass(frozen=True)
class Answer:
    """One answer of the service: when its request began and how long it took."""

    key: str
    began_at: float
    seconds: float
    status: int
    body: dict[str, object]

    @property
    def ended_at(self) -> float:
        return self.began_at + self.seconds

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200 and self.body.get("allowed") is True


@dataclass
class Caller(threading.Thread):
    """Charges one wallet until it is told to stop. It gives no charge up: it ends with an acknowledgement."""

    deployment: Deployment
    user_id: str
    stop: threading.Event
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        with requests.Session() as session:
            session.headers["x-wallet-service-key"] = self.deployment.service_key
            number = 0
            while not self.stop.is_set():
                number += 1
                while not self._charge(session, f"{self.user_id}:{number}").is_acknowledged:
                    time.sleep(PAUSE_SECONDS)

    def _charge(self, session: requests.Session, key: str) -> Answer:
        body = {"user_id": self.user_id, "feature": "mail.send", "idempotency_key": key}
        began_at = time.monotonic()
        answer = session.post(f"{self.deployment.url}/io/wallet/deduct", json=body, timeout=120)
        seconds = time.monotonic() - began_at
        self.answers.append(Answer(key, began_at, seconds, answer.status_code, answer.json()))
        return self.answers[-1]

    def acknowledged(self) -> list[Answer]:
        return [answer for answer in list(self.answers) if answer.is_acknowledged]


@dataclass
class Callers:
    """Several callers at once, and what they were answered."""

    all: list[Caller]

    def acknowledged(self) -> list[tuple[str, str]]:
        """Each charge that the service has acknowledged: its wallet and its key."""
        return sorted((caller.user_id, answer.key) for caller in self.all for answer in caller.acknowledged())

    def answers(self, since: float = 0) -> list[Answer]:
        """What was answered to requests that began after a moment."""
        every = (answer for caller in self.all for answer in list(caller.answers))
        return [answer for answer in every if answer.began_at > since]

    def have_each(self, *, since: float, acknowledged: bool = True) -> bool:
        """Whether each caller was acknowledged, or refused, after a moment."""
        return all(
            any(
                answer.ended_at > since and answer.is_acknowledged == acknowledged
                for answer in list(caller.answers)
            )
            for caller in self.all
        )

    def seconds_to_resume(self, since: float) -> float:
        """How long after a moment the last caller had its first acknowledgement."""
        firsts = [
            min(answer.ended_at for answer in caller.acknowledged() if answer.ended_at > since)
            for caller in self.all
        ]
        return max(firsts) - since


@contextmanager
def calling(deployment: Deployment, count: int, *, prefix: str = "usr") -> Iterator[Callers]:
    """Let callers charge inside this block. At its end, each waits until its last charge is made."""
    stop = threading.Event()
    callers = [Caller(deployment, f"{prefix}_{number}", stop) for number in range(count)]
    for caller in callers:
        top_up(deployment, caller.user_id)
    for caller in callers:
        caller.start()
    try:
        yield Callers(callers)
    finally:
        stop.set()
        for caller in callers:
            caller.join(120)
    assert not any(caller.is_alive() for caller in callers), "a caller was not answered"


def top_up(deployment: Deployment, user_id: str) -> None:
    """Give credits to a user, by a webhook about a paid checkout. Stripe repeats one that is not received."""
    session_id = f"cs_test_{user_id}_{time.monotonic_ns()}"
    event = paid_checkout(session_id, user_id=user_id, amount_total=CREDITS * 100)
    eventually(lambda: deployment.deliver(event))
