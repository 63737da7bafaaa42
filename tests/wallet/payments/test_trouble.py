"""The database gone, silent or locked: 503 within three seconds, never allowed, and back by itself."""

import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from socket import create_server

import pytest
from django.db import connection

from sandbox.environment import free_port
from tests.conftest import Caller
from tests.crowd import second_connection, wallet_locked_by_another
from tests.deployment import TIMES, deployed, eventually
from tests.limits import OF_A_REQUEST, limited
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp

pytestmark = pytest.mark.django_db(transaction=True)

# In which a caller has an answer: a request's limits come to less.
THREE_SECONDS = 3 * TIMES
DENIED = {"allowed": False, "error": "The ledger cannot be reached right now; please try again."}


@pytest.fixture
def charging(give, article_rate, service_key):
    """A user with 10 credits, and a product that charges; its key was used a moment ago."""
    give("usr_1", 10)
    service = Caller({"x-wallet-service-key": service_key})
    assert service.deduct(idempotency_key="before").json()["allowed"] is True
    with limited(OF_A_REQUEST.times(TIMES)):
        yield service


@contextmanager
def database_at(port):
    """The database is looked for where it is not."""
    where = connection.settings_dict
    kept = where["HOST"], where["PORT"]
    connection.close()
    where["HOST"], where["PORT"] = "127.0.0.1", port
    try:
        yield
    finally:
        connection.close()
        where["HOST"], where["PORT"] = kept


def quickly(call):
    """What a call returns, which it must within the three seconds."""
    began = time.monotonic()
    answer = call()
    assert time.monotonic() - began < THREE_SECONDS
    return answer


def unavailable(answer):
    """503 in the wallet's envelope, with a word on when to come again."""
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"]
    body = dict(answer.json())
    assert body.pop("error")
    return body


# --- Gone -------------------------------------------------------------------------------------------


def test_while_the_database_is_gone_every_endpoint_says_so_and_afterwards_serves(
    charging, as_user, checkout_event, deliver
):
    user = as_user("usr_1")
    topup = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/wallet"}
    article = {"user_id": "usr_1", "feature": "blog.article.generate"}
    calls = {
        "balance": lambda: charging.get("/io/wallet/balance", user_id="usr_1"),
        "own balance": lambda: user.get("/io/wallet/balance"),
        "history": lambda: charging.get("/io/wallet/transactions", user_id="usr_1"),
        "own history": lambda: user.get("/io/wallet/transactions"),
        "top-up": lambda: charging.post("/io/wallet/topup-session", topup),
        "rates": lambda: Caller({}).get("/io/wallet/rates"),
        "webhook": lambda: deliver(checkout_event()),
        "funds": lambda: charging.get("/io/wallet/funds", user_id="usr_1"),
        "own funds": lambda: user.get("/io/wallet/funds"),
        "holds": lambda: charging.get("/io/wallet/holds", user_id="usr_1"),
        "own holds": lambda: user.get("/io/wallet/holds"),
        "quote": lambda: charging.post("/io/wallet/quote", article),
    }
    keyed = article | {"idempotency_key": "during"}
    refund = {"user_id": "usr_1", "charge_key": "before", "idempotency_key": "during"}
    with database_at(free_port()):
        for name, call in calls.items():
            has_code = name.split()[-1] in ("funds", "holds", "quote")
            assert unavailable(quickly(call)) == ({"code": "try_again"} if has_code else {}), name
        hold = quickly(lambda: charging.post("/io/wallet/holds", keyed))
        assert unavailable(hold) == {"allowed": False, "code": "try_again"}
        assert unavailable(quickly(lambda: charging.post("/io/wallet/refund", refund))) == {
            "code": "try_again"
        }
        denied = quickly(charging.deduct)
        assert unavailable(denied) == {"allowed": False}
        assert denied.json() == DENIED
        health = Caller({}).get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    del calls["top-up"]  # It would need Stripe.
    assert {name: call().status_code for name, call in calls.items()} == dict.fromkeys(calls, 200)
    eventually(lambda: Caller({}).get("/health").status_code == 200)
    assert charging.deduct(idempotency_key="before").headers["Idempotent-Replayed"] == "true"
    assert available_of("usr_1") == 9 + 25


def test_a_credential_that_cannot_be_checked_is_neither_good_nor_bad(charging):
    with database_at(free_port()):
        answer = Caller({"x-wallet-service-key": "wsk_" + "0" * 64}).get("/io/wallet/balance", user_id="u")
        assert unavailable(answer) == {}


def test_what_needs_no_database_is_answered_without_it(charging):
    with database_at(free_port()):
        assert Caller({}).deduct().status_code == 403
        assert Caller({}).get("/io/wallet/balance").status_code == 401
        assert Caller({}).get("/io/wallet/nothing").status_code == 404
        assert Caller({}).post("/io/wallet/webhook", {}).status_code == 400


def test_a_database_that_takes_the_connection_and_says_nothing(charging):
    with create_server(("127.0.0.1", 0)) as silent, database_at(silent.getsockname()[1]):
        assert unavailable(quickly(charging.deduct)) == {"allowed": False}
    assert charging.deduct().json()["allowed"] is True


def test_a_connection_that_died_between_two_requests_is_noticed(charging):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    denied = charging.deduct(idempotency_key="during")
    assert unavailable(denied) == {"allowed": False}
    # What a server process does between two requests, and Django's test client does not.
    connection.close_if_unusable_or_obsolete()
    assert charging.deduct(idempotency_key="during").json()["allowed"] is True
    assert available_of("usr_1") == 8


# --- Locked -----------------------------------------------------------------------------------------


def test_a_wallet_locked_by_another_process_denies_within_three_seconds_and_moves_nothing(charging):
    with wallet_locked_by_another("usr_1"):
        denied = quickly(lambda: charging.deduct(idempotency_key="during"))
        assert unavailable(denied) == {"allowed": False}
        assert denied.json() == DENIED
        # A read, or a charge of another wallet, does not wait.
        assert charging.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 9}
        assert charging.deduct("usr_2").json()["allowed"] is False
    assert Entry.objects.filter(kind="deduct").count() == 1
    again = charging.deduct(idempotency_key="during")
    assert again.json() == {"allowed": True, "balanceBefore": 9, "balanceAfter": 8, "deducted": 1}
    assert "Idempotent-Replayed" not in again.headers


def test_a_hold_and_a_capture_of_a_locked_wallet_are_unavailable_and_move_nothing(charging):
    article = {"user_id": "usr_1", "feature": "blog.article.generate"}
    made = charging.post("/io/wallet/holds", article | {"idempotency_key": "chat:1"}).json()
    hold = partial(charging.post, "/io/wallet/holds", article | {"idempotency_key": "chat:2"})
    capture = partial(charging.post, f"/io/wallet/holds/{made['holdId']}/capture", {"user_id": "usr_1"})
    with wallet_locked_by_another("usr_1"):
        assert unavailable(quickly(hold)) == {"allowed": False, "code": "try_again"}
        assert unavailable(quickly(capture)) == {"code": "try_again"}
        # Reads and quotes do not wait.
        assert charging.get("/io/wallet/funds", user_id="usr_1").json()["available"] == 8
        assert charging.post("/io/wallet/quote", article).json()["balanceAfter"] == 7
    for call in (hold, capture):
        answer = call()
        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers
    assert charging.get("/io/wallet/funds", user_id="usr_1").json()["held"] == 1


@contextmanager
def table_locked_by_another(name):
    """As a migration would that waits for something else."""
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("table", ["wallet_entry", "wallet_rate", "accounts_servicekey"])
def test_a_table_locked_by_another_process_denies_and_moves_nothing(charging, table):
    """For the entries, the wallet has been updated by then: that is undone."""
    with table_locked_by_another(table):
        assert unavailable(quickly(lambda: charging.deduct(idempotency_key="during"))) == {"allowed": False}
    assert available_of("usr_1") == 9
    assert charging.deduct(idempotency_key="during").json()["allowed"] is True


def test_a_webhook_that_cannot_even_be_stored_comes_again(charging, deliver, checkout_event):
    with table_locked_by_another("wallet_stripeevent"):
        assert unavailable(quickly(lambda: deliver(checkout_event()))) == {}
    assert not StripeEvent.objects.exists()
    assert deliver(checkout_event()).status_code == 200
    assert available_of("usr_1") == 34


def test_a_top_up_that_cannot_be_written_down_never_reaches_stripe(charging, stand_in):
    asked = {"user_id": "usr_1", "amountDollars": 25, "product": "blog", "returnUrl": "/wallet"}
    with table_locked_by_another("wallet_topup"):
        answer = quickly(lambda: charging.post("/io/wallet/topup-session", asked))
        assert unavailable(answer) == {}
    assert stand_in.look("sessions") == []
    assert not TopUp.objects.filter(state="creating").exists()


# --- Killed and back --------------------------------------------------------------------------------


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path / "data") as served:
        yield served


@pytest.mark.slow
def test_a_database_that_was_killed_denies_in_time_and_when_it_is_back_so_is_the_service(deployment):
    """Charges with keys go on all the while, each repeated until it is answered: each is made once."""
    answers = []

    def insist(key):
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at:
            answer, seconds = deployment.deduct(key)
            answers.append((answer, seconds))
            if answer.status_code == 200:
                return answer.json()["allowed"]
            time.sleep(0.05)
        raise AssertionError("the service did not come back")

    assert insist("before") is True
    with ThreadPoolExecutor(8) as pool:
        under_way = [pool.submit(insist, f"storm-{number}") for number in range(20)]
        deployment.kill_the_database()
        under_way += [pool.submit(insist, f"night-{number}") for number in range(20)]
        eventually(lambda: sum(answer.status_code == 503 for answer, _ in answers) >= 16)
        eventually(lambda: not deployment.is_healthy())
        with deployment.server.lease(create=False):  # Starts what is down.
            assert all(charge.result() for charge in under_way)

    assert set(Counter(answer.status_code for answer, _ in answers)) == {200, 503}
    for answer, seconds in answers:
        assert seconds < THREE_SECONDS
        if answer.status_code == 503:
            assert unavailable(answer) == {"allowed": False}
    # Killed and started again between two requests: no request notices.
    deployment.kill_the_database()
    eventually(lambda: not deployment.server.is_running())
    with deployment.server.lease(create=False):
        assert [deployment.deduct(f"after-{number}")[0].status_code for number in range(16)] == [200] * 16

    eventually(deployment.is_healthy)
    assert deployment.balance() == 100 - 41 - 16
    assert re.fullmatch(r"1 wallets in .* Every law holds\.", deployment.manage("check_ledger"))
