"""The stand-in for Stripe as the wallet's tests use it: begun anew for each, spoken to, and listened to."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import stripe
from django.conf import settings

from tests import scripted_server
from tests.conftest import Caller, Sandbox
from wallet.models import TopUp
from wallet.payments import stripe_gateway
from wallet.payments.reconciliation import findings


class StandIn:
    """A running sandbox: what happens at Stripe, and what Stripe tells of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            stripe_version=stripe_gateway.API_VERSION,
            base_addresses={"api": sandbox.address},
        )

    def happens(self, verb: str, session_id: str) -> dict[str, Any]:
        """Let something happen to a session: pay, decline, pay_later, settle, fail, expire."""
        return self.sandbox.control(f"sessions/{session_id}/{verb}")

    def misbehaves(self, **settings: Any) -> None:
        """Lose or delay webhooks, be slow or fail as an API, from now on."""
        self.sandbox.control("settings", **settings)

    def events(self, session_id: str) -> list[dict[str, Any]]:
        """What Stripe has to tell of a session, oldest first."""
        events = self.look("events", session=session_id)
        return [{name: value for name, value in event.items() if name != "deliveries"} for event in events][
            ::-1
        ]

    def look(self, path: str, **query: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.sandbox.address}/_sandbox/{path}", query, timeout=120)
        answer.raise_for_status()
        return answer.json()["data"]

    def session(self, session_id: str) -> dict[str, Any]:
        """A session as Stripe's API shows it."""
        return self.client.v1.checkout.sessions.retrieve(session_id).to_dict()

    def new_session(self, *, cents: int = 2500, currency: str = "usd", **metadata: str | None) -> str:
        """A session that the service knows nothing of; its id. None takes a piece of metadata out."""
        full = {"type": "wallet_topup", "user_id": "usr_1", "product": "blog"} | metadata
        price: Any = {"currency": currency, "unit_amount": cents, "product_data": {"name": "Misar credits"}}
        params: Any = {
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "metadata": {name: value for name, value in full.items() if value is not None},
            "success_url": "https://misar.io/",
        }
        return self.client.v1.checkout.sessions.create(params=params).id

    def paid_session(self, **session: Any) -> str:
        session_id = self.new_session(**session)
        self.happens("pay", session_id)
        return session_id


@pytest.fixture
def new_gateway() -> Iterator[None]:
    """Stripe's client keeps the address and the key it was made with: here it is made anew."""
    forget_the_client()
    yield
    forget_the_client()


def forget_the_client() -> None:
    stripe_gateway._client.cache_clear()
    stripe_gateway._places.cache_clear()


@pytest.fixture
def stripe_at(
    settings: Any, new_gateway: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[scripted_server.ScriptedServer]:
    """A server in the place of Stripe, which answers as a test tells it. Each call is tried once."""
    monkeypatch.setattr(stripe_gateway, "RETRIES_MAX", 0)
    monkeypatch.setattr(stripe_gateway, "BUSY_SECONDS_MAX", 0)
    with scripted_server.running() as server:
        settings.STRIPE_API_BASE = server.address
        yield server


@pytest.fixture
def stand_in(sandbox: Sandbox, new_gateway: None) -> Iterator[StandIn]:
    """Stripe with no past, whose webhooks go nowhere: a test delivers what it wants delivered."""
    sandbox.control("reset")
    stand_in = StandIn(sandbox)
    stand_in.misbehaves(drop_webhooks=True)
    yield stand_in
    sandbox.control("reset")


@pytest.fixture
def nothing_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if what happened at Stripe had happened so long ago that its webhook would have come."""
    monkeypatch.setattr(findings, "ON_ITS_WAY", timedelta(0))


@pytest.fixture
def start_topup(stand_in: StandIn, as_service: Caller) -> Callable[..., TopUp]:
    """A user opens a checkout; our record of it."""

    def start(user_id: str = "usr_1", dollars: int = 25, **body: Any) -> TopUp:
        answer = request_topup(as_service, user_id=user_id, amountDollars=dollars, **body)
        assert answer.status_code == 200, answer.content
        session_id = answer.json()["url"].rpartition("/")[2]
        return TopUp.objects.get(stripe_session_id=session_id)

    return start


def request_topup(caller: Caller, **body: Any) -> Any:
    """Ask for a checkout of $25 for usr_1, or what else is said."""
    asked = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/wallet"} | body
    return caller.post("/io/wallet/topup-session", asked)


@pytest.fixture
def asked_for(db):
    """Our record of a checkout of $25 that usr_1 asked for."""
    return TopUp.objects.create(
        user_id="usr_1", product="mail", amount_cents=2500, state="created", stripe_session_id="cs_test_1"
    )
