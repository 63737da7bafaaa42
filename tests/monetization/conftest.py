"""The creators and what they call with: keys by scope, browsers with a session, tokens."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import api_keys, key_requests
from accounts.models import User
from monetization import subscriptions
from monetization.models import FirstAnswer, Sponsor, Subscription, Tip
from tests.conftest import Caller
from tests.factories import UserFactory

SPONSORS = "/mail/v1/monetization/sponsors"
SUBSCRIPTIONS = "/mail/v1/monetization/subscriptions"
TIPS = "/mail/v1/monetization/tips"
TIP = "/mail/v1/monetization/tip"
STATS = "/mail/v1/monetization/stats"
KEYS = "/mail/v1/keys"

# The documented bodies.
SPONSOR_BODY = {
    "sponsor_name": "Acme Corp",
    "logo_url": "https://cdn.example.com/acme-logo.png",
    "target_url": "https://acme.example.com",
    "position": "header",
    "active_from": "2025-12-01T00:00:00Z",
    "active_until": "2025-12-31T23:59:59Z",
    "price_cents": 29900,
    "currency": "USD",
}
SUBSCRIPTION_BODY = {
    "subscriber_email": "reader@example.com",
    "plan": "monthly",
    "amount_cents": 799,
    "currency": "USD",
    "stripe_subscription_id": "sub_1OaBcDeFgHiJkL",
}
TIP_BODY = {
    "email": "reader@example.com",
    "name": "Alex",
    "amount_cents": 500,
    "currency": "USD",
    "message": "Love your weekly deep-dives — keep it up!",
    "stripe_payment_id": "pi_3OaBcDeFgHiJkL",
}
GOOD = {SPONSORS: SPONSOR_BODY, SUBSCRIPTIONS: SUBSCRIPTION_BODY, TIP: TIP_BODY}
# Stands for the address of a subscription of the creator; `send` goes there.
CHANGE = "a change"

BAD_KEY = "Invalid or missing API key. Use: Authorization: Bearer msk_..."


class CreatorsCaller(Caller):
    """A caller of the creators' endpoints, who changes and takes back as well."""

    def patch(self, path: str, body: Any = None, *, raw: bytes | None = None, **options: Any) -> Any:
        data = json.dumps(body) if raw is None else raw
        options.setdefault("content_type", "application/json")
        return self.client.patch(path, data, headers=self.headers, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.client.delete(path, headers=self.headers, **options)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Any method; a body only where there is one."""
        if body is None:
            return self.client.generic(method, path, headers=self.headers)
        data = json.dumps(body)
        return self.client.generic(method, path, data, "application/json", headers=self.headers)


class Browser(CreatorsCaller):
    """A user signed in with the dashboard's cookie; it knows its CSRF token unless told to forget it."""

    TOKEN = "c" * 32

    def __init__(self, user: User, *, forgets_token: bool = False) -> None:
        super().__init__({} if forgets_token else {"X-CSRFToken": self.TOKEN})
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.client.force_login(user)
        self.client.cookies["csrftoken"] = self.TOKEN


def key_of(owner: User, *scopes: str, **options: Any) -> str:
    """The secret of a new key."""
    made = api_keys.issue(owner=owner, name="A key", scopes=scopes, within_limit=False, **options)
    return made[1]


def caller_with(secret: str) -> CreatorsCaller:
    return CreatorsCaller({"Authorization": f"Bearer {secret}"})


def in_days(days: float) -> str:
    """A moment from now, as the wire has it."""
    return (timezone.now() + timedelta(days=days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def on_wire(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def field_errors(response: Any) -> dict[str, list[str]]:
    """What a validation error says of its fields, after a look at its envelope."""
    found = details(response)
    assert found["formErrors"] == []
    return found["fieldErrors"]


def form_errors(response: Any) -> list[str]:
    found = details(response)
    assert found["fieldErrors"] == {}
    return found["formErrors"]


def details(response: Any) -> dict[str, Any]:
    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"success", "error", "details"}
    assert (body["success"], body["error"]) == (False, "Validation failed")
    assert set(body["details"]) == {"fieldErrors", "formErrors"}
    return body["details"]


def refused(response: Any, status: int, sentence: str) -> None:
    """The answer is that error in the documented envelope, and nothing else."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-ID"]
    assert response.json() == {"success": False, "error": sentence}


def next_page(response: Any) -> str:
    """The address of the next page, without the host; empty after the last."""
    link = re.fullmatch(r'<http://testserver(/[^>]*)>; rel="next"', response.headers.get("Link", ""))
    assert link or "Link" not in response
    return link[1] if link else ""


@pytest.fixture(autouse=True)
def unhurried(settings: Any) -> None:
    """Tests ask more often than creators may; test_rate_limit.py has it otherwise."""
    settings.CREATOR_REQUESTS_PER_MINUTE = 100_000


@pytest.fixture(autouse=True)
def _a_new_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process have recorded no requests of keys in this minute, and let none wait."""
    key_requests._waiting.clear()
    monkeypatch.setattr(key_requests, "_counted", Counter())
    monkeypatch.setattr(key_requests, "_rests_until", float("-inf"))


@pytest.fixture
def creator(db: None) -> User:
    """A creator on the free plan: 5 % fee."""
    return UserFactory.create(misar_id="usr_creator")


@pytest.fixture
def stranger(db: None) -> User:
    """Another creator."""
    return UserFactory.create(misar_id="usr_stranger")


@pytest.fixture
def api(creator: User) -> CreatorsCaller:
    """The creator's own server, with a key for all this."""
    return caller_with(key_of(creator, "monetization"))


@pytest.fixture
def strangers_api(stranger: User) -> CreatorsCaller:
    return caller_with(key_of(stranger, "monetization"))


@pytest.fixture
def browser(creator: User) -> Browser:
    """The creator at the dashboard."""
    return Browser(creator)


@pytest.fixture
def as_creator(token: Callable[..., str]) -> Callable[[User], CreatorsCaller]:
    """A creator who asks with an SSO token."""
    return lambda user: caller_with(token(user.pk))


# --- For what is wrong with a body --------------------------------------------------------------------


@pytest.fixture
def nothing_is_recorded(db: None) -> Iterator[None]:
    """A refused request has made nothing."""
    yield
    assert not Sponsor.objects.exists()
    assert not Tip.objects.exists()
    assert not FirstAnswer.objects.exists()
    for subscription in Subscription.objects.all():
        assert (subscription.plan, subscription.amount_cents, subscription.status) == (
            "monthly",
            799,
            "active",
        )


@pytest.fixture
def change(creator: User) -> str:
    """Where a reader's subscription is changed."""
    made = subscriptions.record(
        creator=creator, subscriber_email="a@example.com", plan="monthly", amount_cents=799, currency="USD"
    )
    return f"{SUBSCRIPTIONS}/{made.pk}"


@pytest.fixture
def send(api: CreatorsCaller, change: str) -> Callable[..., Any]:
    """POST a body, or PATCH it where the path is that of a change."""

    def send_body(path: str, body: Any = None, **options: Any) -> Any:
        if path in (CHANGE, change):
            return api.patch(change, body, **options)
        return api.post(path, body, **options)

    return send_body
