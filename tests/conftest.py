"""The callers and their credentials, and the check of the books after every test that used the database.

No code of ours is mocked. The database is PostgreSQL; the sandbox is a process, the live server a thread.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import jwt
import pytest
import requests
import stripe
from django.conf import settings
from django.db import connection, transaction
from django.test import Client, TransactionTestCase
from django.test.testcases import QuietWSGIRequestHandler
from django.utils import timezone

from accounts import key_requests, key_uses, maintenance, sso, throttling
from accounts.models import Right
from accounts.service_keys import GRANT_MAX, GRANT_MONTH_MAX, issue_service_key
from foundation.calendar import day_of, end_of
from foundation.typesetting import documents
from misar_billing.metrics import figures
from tests import all_laws, clusters, databases, limits, pooled_run
from tests.chromium import CHROMIUM, FLAGS
from tests.factories import StaffFactory, enter
from wallet import identifiers
from wallet.books import ledger
from wallet.books.models import STRIPE_ID_LENGTH
from wallet.charges import batches, gathering
from wallet.models import Entry, TopUp
from wallet.payments import claims, stripe_gateway
from wallet.payments.models import Payment
from wallet.prices import rates

NEVER_AGAIN_SECONDS = 10.0**9
START_SECONDS_MAX = 120  # On a busy machine.
# How long a test may take on a busy machine, and one in a browser or of a load.
TEST_LASTS, SLOW_TEST_LASTS = timedelta(minutes=1), timedelta(minutes=5)

# --- The database -----------------------------------------------------------------------------------


# On a slow machine examples are generated slowly, which is no reason to fail.
hypothesis.settings.register_profile(
    "of any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("of any machine")


# How long the service waits for the issuer, for Stripe and for a file, a charge for others, and what may be
# left out for its own end. A busy machine is slow.
CALLS: dict[tuple[Any, str], Any] = {
    (sso.KeySet, "FETCH_TIMEOUT_SECONDS"): sso.KeySet.FETCH_TIMEOUT_SECONDS,
    (sso.KeySet, "FETCH_SECONDS_MAX"): sso.KeySet.FETCH_SECONDS_MAX,
    (stripe_gateway, "CONNECT_TIMEOUT_SECONDS"): stripe_gateway.CONNECT_TIMEOUT_SECONDS,
    (stripe_gateway, "READ_TIMEOUT_SECONDS"): stripe_gateway.READ_TIMEOUT_SECONDS,
    (stripe_gateway, "CALL_SECONDS_MAX"): stripe_gateway.CALL_SECONDS_MAX,
    (stripe_gateway, "BUSY_SECONDS_MAX"): stripe_gateway.BUSY_SECONDS_MAX,
    (gathering, "SECONDS_MAX"): gathering.SECONDS_MAX,
    (batches, "SECONDS_MAX"): batches.SECONDS_MAX,
    (key_uses, "WAIT_SECONDS_MAX"): key_uses.WAIT_SECONDS_MAX,
    (key_requests, "WAIT_SECONDS_MAX"): key_requests.WAIT_SECONDS_MAX,
    (documents, "WAIT_SECONDS"): documents.WAIT_SECONDS,
    (documents, "SECONDS_MAX"): documents.SECONDS_MAX,
    (figures, "SECONDS_MAX"): figures.SECONDS_MAX,
}


def pytest_configure() -> None:
    # A good password hash takes as long as a whole test.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # The live server writes head and body of an answer apart. With Nagle's algorithm the body waits 40 ms
    # for the acknowledgement of the head, on every connection that stays open.
    QuietWSGIRequestHandler.disable_nagle_algorithm = True
    # No request of a test reads whether there is maintenance, so each makes as many queries as the last one.
    maintenance.RENEWED_AFTER_SECONDS = maintenance.REMEMBERED_SECONDS = NEVER_AGAIN_SECONDS
    maintenance.remember(None)
    settings.SOCIALACCOUNT_REQUESTS_TIMEOUT *= limits.PATIENCE
    for (owner, name), usual in CALLS.items():
        setattr(owner, name, limits.longer(usual))


@pytest.fixture
def limits_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use production's limits for calls to other services, for tests of these limits."""
    for (owner, name), usual in CALLS.items():
        monkeypatch.setattr(owner, name, usual)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: Any
) -> Iterator[None]:
    """Replaces pytest-django's fixture, which migrates a database for each worker."""
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            stack.enter_context(databases.copy_of_the_migrated_one(request.config.option.verbose))
            stack.enter_context(pooled_run.through_a_pooler())
            beginning = databases.Beginning()
        # Called at the end of a test with threads.
        TransactionTestCase._fixture_teardown = lambda case: beginning.restore()  # type: ignore[attr-defined]
        yield
        with django_db_blocker.unblock():
            stack.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """If this UTC day may end during the test, wait for the next one: a test is to be of one day."""
    left = end_of(day_of(timezone.now())) - timezone.now()
    if left < (SLOW_TEST_LASTS if item.get_closest_marker("slow") else TEST_LASTS):
        time.sleep(left.total_seconds() + 0.1)


@pytest.fixture(autouse=True)
def runs_on_this_database(request: pytest.FixtureRequest) -> None:
    """Skip a test that cannot run on a cluster."""
    marker = request.node.get_closest_marker("single_server")
    if marker and clusters.is_one():
        pytest.skip(f"on a cluster: {marker.args[0]}")


@pytest.fixture(autouse=True)
def the_books_balance(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the laws of wallet/books/laws/ after every test that used the database."""
    uses_database = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if not uses_database and not request.node.get_closest_marker("django_db"):
        yield
        return
    request.getfixturevalue("db")  # Set up first, so it is torn down after the check below.
    yield
    if request.node.get_closest_marker("breaks_the_books"):
        return
    if connection.in_atomic_block and connection.needs_rollback:
        transaction.set_rollback(False)
    if connection.in_atomic_block:
        connection.check_constraints()  # Check deferred laws now: the test never commits.
    assert all_laws.broken() == []


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the rate limits' minute so long that none ends during the test."""
    monkeypatch.setattr(throttling, "WINDOW_SECONDS", 10**9)


# --- Wallets ----------------------------------------------------------------------------------------


@pytest.fixture
def give(db: None) -> Callable[..., Entry]:
    """Give credits to a user, as from a paid checkout."""

    def give_credits(user_id: str, credits: int, session_id: str = "") -> Entry:
        session_id = session_id or f"cs_test_{user_id}_{time.monotonic_ns()}"
        payment_intent_id = f"pi_{session_id}"[:STRIPE_ID_LENGTH]
        entry_id = identifiers.transaction_id()
        with transaction.atomic():
            for stripe_id in (session_id, payment_intent_id):
                claims.claim(
                    stripe_id,
                    session_id=session_id,
                    state=Payment.State.CREDITED,
                    user_id=user_id,
                    entry_id=entry_id,
                )
            entry = ledger.credit(
                id=entry_id,
                user_id=user_id,
                credits=credits,
                kind=Entry.Kind.TOPUP,
                actor="stripe",
                product="blog",
                stripe_session_id=session_id,
            )
            TopUp.objects.create(
                user_id=user_id,
                product="blog",
                state=TopUp.State.PAID,
                amount_cents=credits * 100,
                paid_cents=credits * 100,
                stripe_session_id=session_id,
                payment_intent_id=payment_intent_id,
                entry=entry,
                paid_at=timezone.now(),
            )
        return entry

    return give_credits


@pytest.fixture
def article_rate(db: None) -> str:
    """A feature that costs one credit."""
    rates.set_rate(
        feature="blog.article.generate", label="Generate an article", credits=1, unit="article", actor="test"
    )
    return "blog.article.generate"


# --- Credentials ------------------------------------------------------------------------------------


@pytest.fixture
def service_key(db: None) -> str:
    """The blog's service key."""
    return issue_service_key(product="blog")[1]


@pytest.fixture
def expired_service_key(db: None) -> str:
    return issue_service_key(product="blog", expires_at=timezone.now() - timedelta(seconds=1))[1]


@pytest.fixture
def as_service(service_key: str) -> "Caller":
    """A product that calls with its service key."""
    return Caller({"x-wallet-service-key": service_key})


@pytest.fixture
def as_anonymous(db: None) -> "Caller":
    return Caller({})


@pytest.fixture
def sso_secret(settings: Any) -> str:
    """Verify tokens with a shared secret, so a test can make them itself."""
    settings.SSO_JWKS_URL = ""
    settings.SSO_JWT_SECRET = "a shared secret of the tests, long enough"
    return settings.SSO_JWT_SECRET


@pytest.fixture
def token(sso_secret: str) -> Callable[..., str]:
    """An access token for a user; claims can be changed, or removed with None."""

    def make(user_id: str, secret: str = "", algorithm: str = "HS256", **claims: Any) -> str:
        now = int(time.time())
        full = {
            "sub": user_id,
            "iss": settings.SSO_ISSUER,
            "aud": settings.SSO_AUDIENCE,
            "iat": now,
            "exp": now + 600,
        } | claims
        kept = {name: value for name, value in full.items() if value is not None}
        return jwt.encode(kept, secret or sso_secret, algorithm=algorithm)

    return make


@pytest.fixture
def as_user(token: Callable[..., str]) -> Callable[[str], "Caller"]:
    """A user who calls with their SSO token."""
    return lambda user_id: Caller({"Authorization": f"Bearer {token(user_id)}"})


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    """A browser of a signed-in staff member."""
    enter(client, StaffFactory.create())
    return client


class Caller:
    """Django's test client with one credential and JSON in and out."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query, headers=self.headers)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("post", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("put", path, body, **options)

    def delete(self, path: str, **query: Any) -> Any:
        return self.client.delete(path, query_params=query, headers=self.headers)

    def send(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **options: Any
    ) -> Any:
        """Send a body as JSON, or `raw` unchanged; `options` go to the request, such as content_type."""
        data = json.dumps(body) if raw is None else raw
        headers = self.headers | options.pop("headers", {})
        options.setdefault("content_type", "application/json")
        return getattr(self.client, method)(path, data, headers=headers, **options)

    def deduct(self, user_id: str = "usr_1", feature: str = "blog.article.generate", **body: Any) -> Any:
        return self.post("/io/wallet/deduct", {"user_id": user_id, "feature": feature, **body})

    def hold(self, user_id: str = "usr_1", key: str = "chat:77", **body: Any) -> Any:
        """Ask for a hold of one article, unless the body says more."""
        asked = {"user_id": user_id, "feature": "blog.article.generate", "idempotency_key": key}
        return self.post("/io/wallet/holds", asked | body)

    def end(self, hold_id: str, verb: str, user_id: str = "usr_1", **body: Any) -> Any:
        """Capture, void or extend a hold."""
        return self.post(f"/io/wallet/holds/{hold_id}/{verb}", {"user_id": user_id, **body})

    def refund(self, user_id: str = "usr_1", key: str = "undo:1", **body: Any) -> Any:
        return self.post("/io/wallet/refund", {"user_id": user_id, "idempotency_key": key, **body})

    def grant(self, user_id: str = "usr_1", key: str = "welcome", **body: Any) -> Any:
        """Grant 10 credits for 30 days, unless the body says more."""
        expires_at = f"{timezone.now() + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
        asked = {"user_id": user_id, "credits": 10, "expires_at": expires_at, "reason": "Welcome"}
        return self.post("/io/wallet/grants", asked | {"idempotency_key": key} | body)

    def budget(self, credits: int, user_id: str = "usr_1", period: str = "day", **body: Any) -> Any:
        """Set the product's own budget for a user."""
        asked = {"user_id": user_id, "period": period, "credits": credits}
        return self.put("/io/wallet/budgets", asked | body)


def product(name: str = "blog", **key: Any) -> Caller:
    """A product that calls with a new service key; `key` says what the key may do.

    If it may grant, it may grant the most that a key may, unless caps are given.
    """
    if Right.GRANT in key.get("rights", ()):
        key = {"grant_max": GRANT_MAX, "grant_month_max": GRANT_MONTH_MAX} | key
    return Caller({"x-wallet-service-key": issue_service_key(product=name, **key)[1]})


# --- A browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One Chromium for all tests of a process, since Playwright can run only once in it."""
    from playwright.sync_api import sync_playwright

    # Playwright's event loop stays in this thread, and Django would refuse to use the database because of it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=FLAGS, timeout=START_SECONDS_MAX * 1000
        )
        yield browser
        browser.close()


# --- Stripe -----------------------------------------------------------------------------------------


def paid_checkout(
    session_id: str = "cs_test_1",
    event_id: str = "",
    type: str = "checkout.session.completed",
    user_id: str = "usr_1",
    event: dict[str, Any] | None = None,
    **session: Any,
) -> dict[str, Any]:
    """An event of a paid Checkout Session, as Stripe sends it; fields of the session can be changed."""
    full_session = {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "status": "complete",
        "amount_total": 2500,
        "currency": "usd",
        "livemode": False,
        "created": int(time.time()),
        "payment_intent": f"pi_{session_id}",
        "metadata": {"type": "wallet_topup", "user_id": user_id, "product": "blog"},
    } | session
    return {
        "id": event_id or f"evt_{session_id}_{type}",
        "object": "event",
        "type": type,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": full_session},
    } | (event or {})


@pytest.fixture
def checkout_event() -> Callable[..., dict[str, Any]]:
    return paid_checkout


def signed(body: bytes | str, *, at: int | None = None, secret: str = "") -> str:
    """The Stripe-Signature header for a body."""
    text = body.decode("utf-8", "surrogateescape") if isinstance(body, bytes) else body
    secret = secret or settings.STRIPE_WEBHOOK_SECRETS[0]
    return stripe.WebhookSignature.generate_signature_header(text, secret, timestamp=at)


@pytest.fixture
def deliver(db: None) -> Callable[..., Any]:
    """Send an event to the webhook as Stripe would."""

    def send(event: Any, **options: Any) -> Any:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        header = options.pop("signature", None) or signed(body, **options)
        client = Client(raise_request_exception=False)
        return client.post(
            "/io/wallet/webhook", body, content_type="application/json", headers={"Stripe-Signature": header}
        )

    return send


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Sandbox"]:
    """The sandbox as a separate process, at the address of the settings."""
    data_dir = tmp_path_factory.mktemp("sandbox")
    environment = os.environ | {"DATA_DIR": str(data_dir)}
    process = subprocess.Popen([sys.executable, "-m", "sandbox"], env=environment)
    stand_in = Sandbox(settings.STRIPE_API_BASE, data_dir)
    try:
        stand_in.wait_until_ready()
        yield stand_in
    finally:
        process.terminate()
        process.wait(timeout=120)


class Sandbox:
    """The controls of the sandbox, and its folder if the test knows it."""

    def __init__(self, address: str, data_dir: Path | None = None) -> None:
        self.address, self.data_dir = address, data_dir

    def wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < give_up_at:
            try:
                if requests.get(f"{self.address}/health", timeout=START_SECONDS_MAX).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError("the sandbox did not start")

    def control(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.address}/_sandbox/{path}", json=body, timeout=120)
        answer.raise_for_status()
        return answer.json()
