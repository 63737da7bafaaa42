"""The sandbox as a separate process, a receiver for its webhooks, and Stripe's real client.

These tests need no database: the sandbox keeps its own file in a temporary DATA_DIR.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from sandbox.environment import free_port
from tests.environment import ROOT

KEY = "sk_test_of_these_tests"
SECRET = "whsec_of_these_tests"
OLD_SECRET = "whsec_being_rolled_away"
PATIENCE_SECONDS = 120  # On a busy machine.

Params = dict[str, Any]


@dataclass(frozen=True)
class Webhook:
    """One POST that arrived."""

    at: float
    body: bytes
    signature: str

    @property
    def event(self) -> dict[str, Any]:
        self.verify(SECRET)
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        stripe.WebhookSignature.verify_header(self.body.decode(), self.signature, secret, tolerance=300)


@dataclass
class Receiver:
    """A web server that stores every request. It answers with the statuses in `answers`, then always 200.

    While `silent` is set, it stores requests and answers them later.
    """

    url: str = ""
    webhooks: list[Webhook] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    seconds_to_answer: float = 0
    answered: int = 0
    _speaks: threading.Event = field(default_factory=threading.Event)

    def be_silent(self, silent: bool) -> None:
        (self._speaks.clear if silent else self._speaks.set)()

    def wait_to_speak(self) -> None:
        self._speaks.wait(PATIENCE_SECONDS)

    def wait_for(self, count: int) -> list[Webhook]:
        """The webhooks so far, once there are that many."""
        wait_until(lambda: len(self.webhooks) >= count)
        return list(self.webhooks)

    def types(self) -> list[str]:
        return sorted(webhook.event["type"] for webhook in self.webhooks)


class StandIn:
    """A running sandbox, its controls, and a Stripe client for it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.url = f"http://127.0.0.1:{environment['SANDBOX_PORT']}"
        self.data_dir = Path(environment["DATA_DIR"])
        self.stripe = self.client(KEY)

    def client(self, key: str, **options: Any) -> stripe.StripeClient:
        return stripe.StripeClient(
            key, base_addresses={"api": self.url}, stripe_version="2026-10-28.endive", **options
        )

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "sandbox"], env=self.environment, cwd=ROOT)
        wait_until(self.is_healthy)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=120)

    def is_healthy(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=PATIENCE_SECONDS).ok
        except requests.ConnectionError:
            assert self.process.poll() is None, "the sandbox ended by itself"
            return False

    def control(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=120)
        assert answer.ok, answer.text
        return answer.json()

    def look(self, path: str, **query: Any) -> Any:
        answer = requests.get(f"{self.url}/_sandbox/{path}", query, timeout=120)
        assert answer.ok, answer.text
        return answer.json()

    def has_untried_deliveries(self) -> bool:
        deliveries = self.look("deliveries")["data"]
        return any(each["state"] == "waiting" and each["tries"] == 0 for each in deliveries)

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        """A call to the API without Stripe's client, to see the answer on the wire."""
        headers = {"Authorization": f"Bearer {KEY}"} | options.pop("headers", {})
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=120, **options)

    def new_session(self, **changes: Any) -> stripe.checkout.Session:
        return self.stripe.v1.checkout.sessions.create(params=session_params(**changes))

    def paid_session(self, **changes: Any) -> dict[str, Any]:
        return self.control(f"sessions/{self.new_session(**changes).id}/pay")


def session_params(**changes: Any) -> Any:
    """The parameters of a $25 top-up, as the service sends them; those changed to None are left out."""
    metadata = {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"}
    params = {
        "mode": "payment",
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False},
        "line_items": [line()],
        "client_reference_id": "usr_1",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "success_url": "http://127.0.0.1:9/done?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:9/cancelled",
        "expires_at": int(time.time()) + 3600,
    } | changes
    return {name: value for name, value in params.items() if value is not None}


def line(cents: Any = 2500, **changes: Any) -> Params:
    """A line item of a session."""
    price = {"currency": "usd", "unit_amount": cents, "product_data": {"name": "Misar credits"}}
    return {"quantity": 1, "price_data": price} | changes


def control_refusal(stand_in: StandIn, path: str, **body: Any) -> requests.Response:
    """The answer of a control that may refuse."""
    return requests.post(f"{stand_in.url}/_sandbox/{path}", json=body, timeout=120)


def events_of(stand_in: StandIn, session_id: str) -> list[str]:
    """The types of a session's events, oldest first."""
    return [event["type"] for event in stand_in.look("events", session=session_id)["data"]][::-1]


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def environment_of(data_dir: Path, webhook_url: str, **changes: str) -> dict[str, str]:
    """A complete environment for a separate sandbox."""
    own = {
        "ENVIRONMENT": "sandbox",
        "DATA_DIR": str(data_dir),
        "SANDBOX_PORT": str(free_port()),
        "SANDBOX_WEBHOOK_URL": webhook_url,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRETS": f"{SECRET}, {OLD_SECRET}",
        "SSO_ISSUER": "http://issuer.test/sso",
        "SSO_AUDIENCE": "misar-billing",
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return inherited | own | changes


@pytest.fixture(scope="session")
def one_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook = Webhook(at=time.time(), body=body, signature=self.headers["Stripe-Signature"])
            receiver.webhooks.append(webhook)
            status = receiver.answers.pop(0) if receiver.answers else 200
            time.sleep(receiver.seconds_to_answer)
            receiver.wait_to_speak()
            receiver.answered += 1
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/io/wallet/webhook"
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def one_stand_in(one_receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    environment = environment_of(
        tmp_path_factory.mktemp("sandbox"), one_receiver.url, SANDBOX_DELAYED_SECONDS="600"
    )
    running = StandIn(environment)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def receiver(one_receiver: Receiver) -> Receiver:
    """The receiver, empty, answering 200."""
    one_receiver.webhooks.clear()
    one_receiver.answers.clear()
    one_receiver.seconds_to_answer = one_receiver.answered = 0
    one_receiver.be_silent(False)
    return one_receiver


@pytest.fixture
def stand_in(one_stand_in: StandIn, receiver: Receiver) -> Iterator[StandIn]:
    """The sandbox, empty."""
    one_stand_in.control("reset")
    receiver.webhooks.clear()
    yield one_stand_in
    receiver.seconds_to_answer = 0
    receiver.be_silent(False)
    # Wait for the webhooks of this test before the next test begins.
    wait_until(lambda: not one_stand_in.has_untried_deliveries())


@pytest.fixture
def start_another(receiver: Receiver, tmp_path: Path) -> Iterator[Callable[..., StandIn]]:
    """Start another sandbox with its own environment; it is stopped after the test."""
    started: list[StandIn] = []

    def start(**changes: str) -> StandIn:
        another = StandIn(environment_of(tmp_path, receiver.url, **changes))
        another.start()
        started.append(another)
        return another

    yield start
    for another in started:
        if another.process.poll() is None:
            another.stop()
