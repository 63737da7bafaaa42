"""The service with STANDBY_URL: which requests the standby answers, and what callers see (contract 78)."""

import re
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests

from tests.deployment import Deployment, eventually
from tests.limits import PATIENCE
from tests.replication import RUNTIME, Pair, manage

pytestmark = pytest.mark.slow

LAG_SECONDS_MAX = 2
SSO = {
    "SSO_ISSUER": "https://id.example",
    "SSO_AUDIENCE": "misar-billing",
    "SSO_JWT_SECRET": "s" * 32,
    "SSO_JWKS_URL": "",
}
OUTCOME = re.compile(r'^misar_standby_reads_total\{outcome="(\w+)"\} (\d+)', re.MULTILINE)


class Service(Deployment):
    """The service, and callers of each kind."""

    def get(self, path, *, headers=None, **query):
        headers = headers or {"x-wallet-service-key": self.service_key}
        return requests.get(f"{self.url}{path}", query, headers=headers, timeout=120)

    def keys(self) -> list[str]:
        """The keys of the charges that the history shows, newest first."""
        items = self.get("/io/wallet/transactions", user_id="usr_1").json()["items"]
        return [item["id"] for item in items if item["type"] == "deduct"]

    def outcomes(self) -> dict[str, int]:
        text = requests.get(f"http://127.0.0.1:{self.internal_port}/metrics", timeout=120).text
        return {outcome: int(count) for outcome, count in OUTCOME.findall(text) if int(count)}


def of_the_creator() -> dict[str, str]:
    claims = {"sub": "creator_1", "iss": SSO["SSO_ISSUER"], "aud": SSO["SSO_AUDIENCE"]}
    ends = datetime.now(UTC) + timedelta(hours=1)
    token = jwt.encode(claims | {"exp": ends, "iat": datetime.now(UTC)}, SSO["SSO_JWT_SECRET"], "HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def served(books, tmp_path_factory):
    """A primary and a standby for which it does not wait, and the service with both."""
    pair = Pair(books)
    service = Service(tmp_path_factory.mktemp("standby"), times=PATIENCE)
    service.service_key = books.service_key
    try:
        pair.standby.follow(pair.primary)
        service.environment |= SSO | {
            "DATABASE_URL": pair.url,
            "STANDBY_URL": pair.standby.url(RUNTIME),
            "STANDBY_LAG_SECONDS_MAX": str(LAG_SECONDS_MAX),
            "WEB_WORKERS": "1",
            "WEB_THREADS": "4",
            "CREATOR_REQUESTS_PER_MINUTE": "0",
            "WALLET_READS_PER_MINUTE": "0",
        }
        with service.serving():
            service.credit(100)
            assert service.deduct("first")[0].json()["allowed"]  # Each test can run alone.
            yield pair, service
    finally:
        pair.end()


def statements_of_the_service(server) -> list[str]:
    """The last statement of each session of the service."""
    rows = server.rows("SELECT query FROM pg_stat_activity WHERE usename = %s AND query <> ''", RUNTIME)
    return [query for (query,) in rows]


def test_own_charges_are_in_the_history_whichever_server_answers(served):
    pair, service = served
    charged = []
    for number in range(20):
        assert service.deduct(f"own:{number}")[0].json()["allowed"]
        charged.append(service.keys()[0])
    assert len(set(charged)) == 20
    eventually(
        lambda: (
            service.keys()
            and any("wallet_entry" in statement for statement in statements_of_the_service(pair.standby))
        )
    )
    assert service.outcomes()["answered"]


def test_the_balance_and_what_can_be_spent_are_never_read_from_the_standby(served):
    _, service = served
    eventually(lambda: service.keys() and service.outcomes().get("answered"))
    before = service.outcomes()
    body = {"user_id": "usr_1", "feature": "mail.send"}
    assert service.post("/io/wallet/quote", body).json()["allowed"]
    for path in ("balance", "funds", "holds", "grants", "budgets"):
        assert service.get(f"/io/wallet/{path}", user_id="usr_1").ok
    assert service.get("/io/wallet/rates").ok
    assert service.outcomes() == before


def test_figures_may_be_late_up_to_the_bound_and_lists_never(served):
    pair, service = served
    creator = of_the_creator()

    def subscribers() -> int:
        figures = service.get("/mail/v1/monetization/stats", headers=creator).json()["data"]
        return sum(each["paying_subscribers"] for each in figures["currencies"].values())

    assert service.get("/mail/v1/monetization/stats", headers=creator).ok
    eventually(lambda: subscribers() == 0 and service.outcomes().get("answered"))
    pair.standby.rows("SELECT pg_wal_replay_pause()")
    try:
        answer = requests.post(
            f"{service.url}/mail/v1/monetization/subscriptions",
            json={
                "subscriber_email": "reader@example.com",
                "plan": "monthly",
                "amount_cents": 500,
                "currency": "USD",
            },
            headers=creator,
            timeout=120,
        )
        assert answer.status_code == 201, answer.text
        (row,) = service.get("/mail/v1/monetization/subscriptions", headers=creator).json()
        assert row["subscriber_email"] == "reader@example.com"
        eventually(lambda: subscribers() == 1)
    finally:
        pair.standby.rows("SELECT pg_wal_replay_resume()")


def test_a_revoked_key_is_refused_at_once(served):
    pair, service = served
    other = manage(pair.primary.url(RUNTIME), "create_service_key", "--product", "chat").split()[-1]
    headers = {"x-wallet-service-key": other}

    def read():
        return service.get("/io/wallet/transactions", headers=headers, user_id="usr_1")

    assert read().ok
    pair.standby.rows("SELECT pg_wal_replay_pause()")
    try:
        pair.primary.rows("UPDATE accounts_servicekey SET revoked_at = now() WHERE product = 'chat'")
        assert read().status_code == 403
    finally:
        pair.standby.rows("SELECT pg_wal_replay_resume()")


def test_without_the_standby_the_primary_answers_and_charges_go_on(served):
    pair, service = served
    eventually(lambda: service.keys() and service.outcomes().get("answered"))
    failed = service.outcomes().get("failed", 0)
    pair.standby.kill()
    try:
        assert service.deduct("without")[0].json()["allowed"]
        for _ in range(8):  # Each thread has a session that is lost.
            assert service.get("/io/wallet/transactions", user_id="usr_1").ok
        # A read that was late before, or has failed, keeps the next ones from it for some seconds.
        eventually(lambda: service.keys() and service.outcomes().get("failed", 0) > failed)
    finally:
        pair.standby.start()
