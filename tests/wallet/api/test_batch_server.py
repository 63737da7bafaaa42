"""Batches at a real gunicorn: chunked bodies, and a database that stands still or is gone."""

import time

import pytest
import requests

from tests.deployment import TIMES, deployed, eventually
from tests.misar_billing.test_server import frozen
from tests.wallet.payments.test_trouble import THREE_SECONDS

pytestmark = pytest.mark.slow

UNKNOWN = {
    "allowed": False,
    "error": "The ledger cannot be reached right now; please try again.",
    "code": "try_again",
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("deployment") / "data") as served:
        yield served


def batch(served, body):
    headers = {"x-wallet-service-key": served.service_key, "Content-Type": "application/json"}
    return requests.post(
        f"{served.url}/io/wallet/deduct/batch",
        headers=headers,
        timeout=120,
        **({"data": body} if hasattr(body, "__next__") else {"json": {"items": body}}),
    )


def items(*keys):
    return [{"user_id": "usr_1", "feature": "mail.send", "idempotency_key": key} for key in keys]


def pieces(padding):
    """A body that is sent without its length."""
    head = b'{"items":[{"user_id":"usr_1","feature":"mail.send","idempotency_key":"chunked"}],"padding":"'
    yield head
    for _ in range(padding // 1000):
        yield b"x" * 1000
    yield b'"}'


def test_a_chunked_batch_may_be_as_long_as_another(deployment):
    answer = batch(deployment, pieces(1_000_000))
    assert answer.status_code == 200
    assert answer.json()["results"][0]["allowed"] is True
    answer = batch(deployment, pieces(1_050_000))
    assert (answer.status_code, answer.json()["allowed"]) == (413, False)


def test_a_frozen_database_denies_a_batch_in_time_and_charges_it_when_it_thaws(deployment):
    before = deployment.balance()
    assert batch(deployment, items("warm:1", "warm:2")).status_code == 200
    with frozen(deployment):
        began = time.monotonic()
        answer = batch(deployment, items("frozen:1", "frozen:2"))
        assert (answer.status_code, answer.json()) == (503, UNKNOWN)
        assert answer.headers["Retry-After"] == "1"
        assert time.monotonic() - began < THREE_SECONDS + 0.5 * TIMES
    eventually(deployment.is_healthy)
    for again in (False, True):
        results = batch(deployment, items("frozen:1", "frozen:2", "thawed")).json()["results"]
        assert [result["allowed"] for result in results] == [True] * 3
        assert [result.get("replayed", False) for result in results] == [again] * 3 or not again
    assert deployment.balance() == before - 5
    assert "Every law holds" in deployment.manage("check_ledger")


def test_a_dead_database_denies_a_batch(deployment):
    deployment.kill_the_database()
    eventually(lambda: not deployment.is_healthy())
    answer = batch(deployment, items("dead:1", "dead:2"))
    assert (answer.status_code, answer.json()) == (503, UNKNOWN)
