"""POST /io/wallet/deduct/batch"""

import json
from typing import Any

import pytest

from accounts.models import Right
from tests.conftest import Caller, product
from tests.crowd import wallet_locked_by_another
from tests.wallet import by_hand
from wallet.api import batches as endpoint
from wallet.books.funds import available_of
from wallet.charges import batches
from wallet.models import Entry, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

BATCH = "/io/wallet/deduct/batch"
ARTICLE = "blog.article.generate"


def item(key="k", user_id="usr_1", feature=ARTICLE, **more):
    return {"user_id": user_id, "feature": feature, "idempotency_key": key, **more}


def send(caller, *items):
    return caller.post(BATCH, {"items": list(items)})


def results(caller, *items):
    response = send(caller, *items)
    assert response.status_code == 200, response.content
    return response.json()["results"]


def allowed(before, after):
    return {
        "status": 200,
        "allowed": True,
        "balanceBefore": before,
        "balanceAfter": after,
        "deducted": before - after,
    }


def keys():
    charges = Entry.objects.filter(kind="deduct").order_by("wallet_id", "sequence")
    return list(charges.values_list("wallet_id", "idempotency_key"))


# --- What is charged --------------------------------------------------------------------------------


def test_each_item_is_answered_in_order_as_the_contract_shows(as_service, give, article_rate):
    give("usr_1", 42)
    as_service.deduct("usr_1", idempotency_key="first")
    response = send(
        as_service,
        item("a"),
        item("b", user_id="usr_new"),
        item("c", feature="x"),
        item("first"),
    )
    assert response.status_code == 200
    assert response.content == (
        b'{"results":['
        b'{"status":200,"allowed":true,"balanceBefore":41,"balanceAfter":40,"deducted":1},'
        b'{"status":200,"allowed":false,"balanceBefore":0,"required":1},'
        b'{"status":400,"allowed":false,"error":"Unknown feature: x"},'
        b'{"status":200,"replayed":true,"allowed":true,"balanceBefore":42,"balanceAfter":41,"deducted":1}]}'
    )
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in response
    assert available_of("usr_1") == 40
    assert not Wallet.objects.filter(pk="usr_new").exists()


def test_the_entries_are_those_of_single_charges(as_service, give, article_rate):
    give("usr_1", 10)
    as_service.deduct("usr_1", article_rate, count=2, idempotency_key="alone")
    send(as_service, item("a", count=2), item("b"))
    alone, together, last = Entry.objects.filter(kind="deduct").order_by("sequence")
    own = {"id", "sequence", "balance_after", "idempotency_key", "created_at", "effective_at", "_state"}
    facts = [
        {name: value for name, value in vars(each).items() if name not in own} for each in (alone, together)
    ]
    assert facts[0] == facts[1]
    assert together.id.startswith("txn_")
    assert (last.sequence, last.balance_after, last.count, last.held) == (4, 5, 1, 0)
    assert alone.created_at <= together.created_at == last.created_at == last.effective_at


def test_a_refusal_does_not_stop_the_next(as_service, give, article_rate):
    give("usr_1", 5)
    assert results(as_service, item("a", count=4), item("b", count=2), item("c"), item("d")) == [
        allowed(5, 1),
        {"status": 200, "allowed": False, "balanceBefore": 1, "required": 2},
        allowed(1, 0),
        {"status": 200, "allowed": False, "balanceBefore": 0, "required": 1},
    ]
    assert keys() == [("usr_1", "a"), ("usr_1", "c")]


def test_many_users_in_one_batch(as_service, give, article_rate):
    for n in range(1, 5):
        give(f"usr_{n}", n)
    asked = [item(f"{turn}:{n}", user_id=f"usr_{n}") for turn in range(2) for n in reversed(range(5))]
    found = results(as_service, *asked)
    assert [each["allowed"] for each in found] == [True] * 4 + [False] + [True] * 3 + [False] * 2
    assert [available_of(f"usr_{n}") for n in range(5)] == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("number", [49, 50, 51, 500])
def test_any_number_of_items_of_one_user(as_service, give, article_rate, number):
    give("usr_1", number - 1)
    found = results(as_service, *(item(f"k{n}") for n in range(number)))
    assert found[:-1] == [allowed(number - 1 - n, number - 2 - n) for n in range(number - 1)]
    assert found[-1]["allowed"] is False
    assert available_of("usr_1") == 0
    assert Entry.objects.count() == number


# --- Keys -------------------------------------------------------------------------------------------


def test_a_batch_again_answers_the_same_and_charges_once(as_service, give, article_rate):
    give("usr_1", 10)
    asked = [item("a"), item("b", count=3), item("c", count=2)]
    first = results(as_service, *asked)
    rates.set_rate(feature=ARTICLE, label="A", credits=9, unit="u", actor="test")
    again = results(as_service, *reversed(asked))
    assert list(reversed(again)) == [{"replayed": True, **each} for each in first]
    assert available_of("usr_1") == 4


def test_a_key_twice_in_one_batch(as_service, give, article_rate):
    give("usr_1", 10)
    conflict = "This idempotency_key was used for another feature or count"
    assert results(as_service, item("a", count=2), item("a", count=2), item("a", count=3), item("b")) == [
        allowed(10, 8),
        {"replayed": True, **allowed(10, 8)},
        {"status": 409, "allowed": False, "error": conflict},
        allowed(8, 7),
    ]


def test_a_key_that_was_refused_in_a_batch_is_free(as_service, give, article_rate):
    give("usr_1", 1)
    assert [each["allowed"] for each in results(as_service, item("a", count=2), item("a"), item("a"))] == [
        False,
        True,
        True,
    ]


def test_a_batch_and_single_charges_replay_each_other(as_service, give, article_rate):
    give("usr_1", 10)
    single = as_service.deduct("usr_1", idempotency_key="single").json()
    batch = results(as_service, item("single"), item("batch"))
    assert batch[0] == {"status": 200, "replayed": True, **single}
    again = as_service.deduct("usr_1", idempotency_key="batch")
    assert again["Idempotent-Replayed"] == "true"
    assert {"status": 200, **again.json()} == batch[1]
    assert available_of("usr_1") == 8


def test_a_key_is_of_one_product(as_service, give, article_rate):
    give("usr_1", 10)
    results(as_service, item("a"), item("b"))
    assert results(product("mail"), item("a"), item("b")) == [allowed(8, 7), allowed(7, 6)]


def test_charges_that_were_given_back(as_service, give, article_rate):
    give("usr_1", 10)
    results(as_service, item("whole", count=2), item("part", count=2))
    whole, part = Entry.objects.filter(kind="deduct").order_by("sequence")
    by_hand.give_back(entry=whole, reason="It failed", key="refund:1", actor="test")
    by_hand.give_back(entry=part, credits=1, reason="It failed", key="refund:2", actor="test")
    found = results(as_service, item("whole", count=2), item("part", count=2), item("new"))
    assert found[0] == {"status": 409, "allowed": False, "error": "This charge was given back; use a new key"}
    assert found[1] == {"replayed": True, **allowed(8, 6)}
    assert found[2]["allowed"] is True


def test_an_item_has_a_key(as_service, give, article_rate):
    give("usr_1", 10)
    without = {name: value for name, value in item().items() if name != "idempotency_key"}
    expected = {"status": 400, "allowed": False, "error": "idempotency_key is required"}
    for bad in (without, {**without, "idempotency_key": None}):
        assert results(as_service, bad, item("a"), item("b"))[0] == expected
    assert available_of("usr_1") == 8


# --- The list ---------------------------------------------------------------------------------------


NO_LISTS: tuple[Any, ...] = ("a", 1, True, {}, {"0": {}})
NO_OBJECTS: tuple[Any, ...] = ([], "a", 1, None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "items is required"),
        ({"items": None}, "items is required"),
        *(({"items": odd}, "items must be a list") for odd in NO_LISTS),
        ({"items": []}, "items must hold 1 to 500 charges"),
        ({"items": [{}] * 501}, "items must hold 1 to 500 charges"),
        *((odd, "The body must be a JSON object") for odd in NO_OBJECTS),
    ],
)
def test_a_list_of_another_kind_is_refused_as_a_whole(as_service, body, sentence):
    response = as_service.post(BATCH, body)
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": sentence, "code": "invalid"}


def test_items_of_no_kind_are_refused_one_by_one(as_service):
    odd: list[Any] = [None, 1, "a", [], True, {}]
    sentences = [each["error"] for each in results(as_service, *odd)]
    assert sentences == ["The body must be a JSON object"] * 5 + ["user_id is required"]


def test_a_body_of_up_to_a_mebibyte_is_read(as_service, give, article_rate):
    give("usr_1", 500)
    items = [item(f"article:{n:0230}") for n in range(500)]
    body = json.dumps({"items": items, "unknown": ""}).encode()
    body = body[:-2] + b"x" * (1024 * 1024 - len(body)) + body[-2:]
    assert len(body) == 1024 * 1024
    response = as_service.post(BATCH, raw=body)
    assert response.status_code == 200
    assert available_of("usr_1") == 0
    response = as_service.post(BATCH, raw=body[:-2] + b"x" + body[-2:])
    assert response.status_code == 413
    assert response.json() == {"allowed": False, "error": "The body is too large", "code": "too_large"}


# --- Who may charge ---------------------------------------------------------------------------------


def test_only_a_product_with_the_right_may_charge(
    as_user, as_anonymous, expired_service_key, give, article_rate
):
    give("usr_1", 10)
    for caller, code in (
        (as_user("usr_1"), "no_credentials"),
        (as_anonymous, "no_credentials"),
        (Caller({"x-wallet-service-key": expired_service_key}), "wrong_credentials"),
        (product(rights=[Right.READ, Right.REFUND]), "may_not_charge"),
    ):
        response = send(caller, item("a"), item("b"))
        assert response.status_code == 403
        assert (response.json()["allowed"], response.json()["code"]) == (False, code)
    assert available_of("usr_1") == 10


def test_a_limited_key_charges_its_own_features_only(give, article_rate):
    give("usr_1", 10)
    limited = product(feature_prefixes=["blog."])
    found = results(limited, item("a"), item("b", feature="mail.send"), item("c"))
    assert [each["status"] for each in found] == [200, 403, 200]
    assert found[1] == {
        "status": 403,
        "allowed": False,
        "error": "This service key may not charge mail.send",
    }


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_another_method_is_refused(as_service, method):
    response = getattr(as_service.client, method)(BATCH, headers=as_service.headers)
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert response.json()["allowed"] is False


def test_the_limit_of_charges_counts_a_batch_once(as_service, give, article_rate, settings, one_window):
    settings.WALLET_CHARGES_PER_MINUTE = 2
    give("usr_1", 10)
    assert send(as_service, item("a"), item("b"), item("c")).status_code == 200
    assert as_service.deduct().status_code == 200
    response = send(as_service, item("d"))
    assert response.status_code == 429
    assert (response.json()["allowed"], response.json()["code"]) == (False, "slow_down")
    assert int(response["Retry-After"]) >= 1


# --- Not now ----------------------------------------------------------------------------------------


@pytest.fixture
def one_place(settings):
    """Serve one batch at a time in this process."""
    settings.WEB_THREADS = 4
    endpoint._places.cache_clear()
    yield
    endpoint._places.cache_clear()


def test_a_quarter_of_the_threads_serve_batches_and_single_charges_go_on(
    as_service, give, article_rate, one_place
):
    give("usr_1", 10)
    with endpoint._place():
        response = send(as_service, item("a"))
        assert response.status_code == 503
        assert (response.json()["allowed"], response.json()["code"]) == (False, "try_again")
        assert response["Retry-After"] == "1"
        # A body is read first: one that arrives slowly takes no place from others.
        assert as_service.post(BATCH, {"items": []}).status_code == 400
        assert as_service.deduct().json()["allowed"] is True
    for _ in range(2):  # A failure leaves its place too.
        assert as_service.post(BATCH, {"items": []}).status_code == 400
    assert results(as_service, item("a")) == [allowed(9, 8)]


def test_what_is_not_begun_in_time_is_not_known(as_service, give, article_rate, monkeypatch):
    give("usr_1", 10)
    monkeypatch.setattr(batches, "SECONDS_MAX", 0)
    for asked in ([item("a"), item("b")], [item("a")], [item("a"), {}]):
        response = send(as_service, *asked)
        assert response.status_code == 503
        assert response["Retry-After"] == "1"
        assert response.json() == {
            "allowed": False,
            "error": "The ledger cannot be reached right now; please try again.",
            "code": "try_again",
        }
    assert results(as_service, {})[0]["status"] == 400
    assert available_of("usr_1") == 10


SENTENCE = "The ledger cannot be reached right now; please try again."


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_done_is_said_item_by_item(as_service, give, article_rate):
    for n in (1, 2):
        give(f"usr_{n}", 10)
    with wallet_locked_by_another("usr_1"):
        response = send(as_service, item("a"), item("b"))
        assert response.status_code == 503
        assert response.json() == {"allowed": False, "error": SENTENCE, "code": "try_again"}
        assert response["Retry-After"] == "1"
        unknown = {"status": 503, "allowed": False, "error": SENTENCE}
        found = results(as_service, item("a"), item("b", user_id="usr_2"), item("c"), {})
        assert found[:3] == [unknown, allowed(10, 9), unknown]
        assert found[3]["status"] == 400
    assert results(as_service, item("a"), item("b", user_id="usr_2"), item("c")) == [
        allowed(10, 9),
        {"replayed": True, **allowed(10, 9)},
        allowed(9, 8),
    ]


# --- Strict reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "sentence", "code"),
    [
        (b'{"items": [', 400, "The body is not valid JSON", "invalid"),
        (b'{"items": [{"user_id": "a", "user_id": "b"}]}', 400, "The body names a key twice", "invalid"),
        (b'{"items": [NaN]}', 400, "The body holds NaN, which is not JSON", "invalid"),
        (b'{"items": ["\xff"]}', 400, "The body is not UTF-8", "invalid"),
        (
            b'{"items": ' + b"[" * 40 + b"]" * 40 + b"}",
            400,
            "The body is nested deeper than 32 levels",
            "invalid",
        ),
    ],
)
def test_a_body_that_is_no_strict_json_is_refused_as_a_whole(as_service, raw, status, sentence, code):
    response = as_service.post(BATCH, raw=raw)
    assert response.status_code == status
    assert response.json() == {"allowed": False, "error": sentence, "code": code}


def test_a_batch_says_that_it_is_json(as_service):
    response = as_service.post(BATCH, {"items": [item()]}, content_type="text/plain")
    assert response.status_code == 415
    assert (response.json()["allowed"], response.json()["code"]) == (False, "not_json")


def test_a_slash_at_the_end_leads_nowhere(as_service):
    response = as_service.post(f"{BATCH}/", {"items": [item()]})
    assert response.status_code == 404
    assert response.json() == {
        "allowed": False,
        "error": "There is nothing at this address.",
        "code": "not_found",
    }
