"""POST /io/wallet/deduct"""

import pytest
from django.utils import timezone

from tests.conftest import Caller, product
from tests.wallet import by_hand
from wallet.books.funds import available_of
from wallet.models import Entry, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/deduct"
ARTICLE = "blog.article.generate"


def charges() -> list[Entry]:
    return list(Entry.objects.filter(kind=Entry.Kind.DEDUCT).order_by("sequence"))


def set_price(feature: str, credits: int, *, active: bool = True) -> None:
    rates.set_rate(feature=feature, label="Label", credits=credits, unit="unit", active=active, actor="test")


# --- What is charged --------------------------------------------------------------------------------


def test_a_charge_takes_the_price_and_says_what_it_left(as_service, give, article_rate):
    give("usr_1", 42)
    response = as_service.deduct("usr_1", article_rate)
    assert response.status_code == 200
    assert response.content == b'{"allowed":true,"balanceBefore":42,"balanceAfter":41,"deducted":1}'
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    assert available_of("usr_1") == 41


def test_the_entry_of_a_charge_tells_the_whole_story(as_service, give, article_rate):
    give("usr_1", 42)
    as_service.deduct("usr_1", article_rate, count=3, idempotency_key="article:my-post")
    (entry,) = charges()
    assert (entry.wallet_id, entry.sequence, entry.credits, entry.balance_after) == ("usr_1", 2, -3, 39)
    assert (entry.feature, entry.count, entry.product) == (ARTICLE, 3, "blog")
    assert entry.idempotency_key == "article:my-post"
    assert entry.actor.startswith("service:wsk_")
    assert entry.created_at <= timezone.now()


def test_the_price_is_the_count_times_the_rate(as_service, give):
    set_price("blog.video", 7)
    give("usr_1", 100)
    assert as_service.deduct("usr_1", "blog.video", count=4).json() == {
        "allowed": True,
        "balanceBefore": 100,
        "balanceAfter": 72,
        "deducted": 28,
    }


def test_a_new_rate_holds_from_the_next_charge_on(as_service, give):
    set_price("blog.video", 7)
    give("usr_1", 100)
    as_service.deduct("usr_1", "blog.video")
    set_price("blog.video", 9)
    assert as_service.deduct("usr_1", "blog.video").json()["deducted"] == 9


def test_the_last_credit_can_be_spent(as_service, give, article_rate):
    give("usr_1", 10)
    answer = as_service.deduct("usr_1", count=10).json()
    assert answer == {"allowed": True, "balanceBefore": 10, "balanceAfter": 0, "deducted": 10}


def test_null_in_an_optional_field_means_absent(as_service, give, article_rate):
    give("usr_1", 10)
    answer = as_service.deduct("usr_1", count=None, idempotency_key=None)
    assert answer.json() == {"allowed": True, "balanceBefore": 10, "balanceAfter": 9, "deducted": 1}
    assert charges()[0].idempotency_key == ""


def test_unknown_fields_are_ignored(as_service, give, article_rate):
    give("usr_1", 10)
    answer = as_service.deduct("usr_1", credits=5, deducted=0, balanceAfter=99, product="mail")
    assert answer.json()["deducted"] == 1
    assert charges()[0].product == "blog"


def test_charges_without_a_key_are_each_their_own(as_service, give, article_rate):
    give("usr_1", 10)
    as_service.deduct("usr_1")
    as_service.deduct("usr_1")
    assert available_of("usr_1") == 8


# --- Too few credits --------------------------------------------------------------------------------


def test_too_few_credits_is_an_answer_and_moves_nothing(as_service, give, article_rate):
    give("usr_1", 10)
    response = as_service.deduct("usr_1", count=11)
    assert response.status_code == 200
    assert response.content == b'{"allowed":false,"balanceBefore":10,"required":11}'
    assert response["Cache-Control"] == "no-store"
    assert available_of("usr_1") == 10
    assert charges() == []


def test_an_unknown_user_has_nothing_to_spend_and_gets_no_wallet(as_service, article_rate):
    response = as_service.deduct("usr_new")
    assert response.status_code == 200
    assert response.content == b'{"allowed":false,"balanceBefore":0,"required":1}'
    assert not Wallet.objects.exists()


def test_required_is_the_full_price_not_the_shortfall(as_service, give):
    set_price("blog.video", 7)
    give("usr_1", 10)
    assert as_service.deduct("usr_1", "blog.video", count=2).json() == {
        "allowed": False,
        "balanceBefore": 10,
        "required": 14,
    }


def test_the_largest_price_is_an_integer_and_refused(as_service, give):
    set_price("blog.gold", 1_000_000_000)
    give("usr_1", 10)
    assert as_service.deduct("usr_1", "blog.gold", count=1_000_000).json() == {
        "allowed": False,
        "balanceBefore": 10,
        "required": 1_000_000_000_000_000,
    }


# --- The same key again -----------------------------------------------------------------------------


def test_the_same_key_again_answers_the_same_bytes_and_charges_once(as_service, give, article_rate):
    give("usr_1", 42)
    first = as_service.deduct("usr_1", idempotency_key="article:my-post")
    again = as_service.deduct("usr_1", idempotency_key="article:my-post")
    assert again.status_code == 200
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert available_of("usr_1") == 41
    assert len(charges()) == 1


def test_a_replay_does_not_care_for_the_balance_or_the_rate_of_now(as_service, give, article_rate):
    give("usr_1", 3)
    first = as_service.deduct("usr_1", count=2, idempotency_key="k")
    as_service.deduct("usr_1")
    set_price(ARTICLE, 500)
    assert as_service.deduct("usr_1", count=2, idempotency_key="k").content == first.content
    set_price(ARTICLE, 1, active=False)
    assert as_service.deduct("usr_1", count=2, idempotency_key="k").content == first.content
    assert available_of("usr_1") == 0


def test_a_count_of_one_is_the_same_request_said_or_unsaid(as_service, give, article_rate):
    give("usr_1", 3)
    first = as_service.deduct("usr_1", idempotency_key="k")
    assert as_service.deduct("usr_1", count=1, idempotency_key="k").content == first.content


@pytest.mark.parametrize("change", [{"count": 2}, {"feature": "mail.send"}, {"feature": "no.such.feature"}])
def test_the_same_key_for_another_request_is_a_conflict(as_service, give, article_rate, change):
    give("usr_1", 42)
    as_service.deduct("usr_1", idempotency_key="k")
    response = as_service.deduct(**{"user_id": "usr_1", "feature": ARTICLE, "idempotency_key": "k"} | change)
    assert response.status_code == 409
    assert response.json() == {
        "allowed": False,
        "error": "This idempotency_key was used for another feature or count",
    }
    assert available_of("usr_1") == 41


def test_a_key_belongs_to_one_user(as_service, give, article_rate):
    give("usr_1", 5)
    give("usr_2", 5)
    as_service.deduct("usr_1", idempotency_key="k")
    response = as_service.deduct("usr_2", idempotency_key="k")
    assert "Idempotent-Replayed" not in response
    assert available_of("usr_2") == 4


def test_a_key_belongs_to_one_product(as_service, give, article_rate):
    give("usr_1", 5)
    as_service.deduct("usr_1", idempotency_key="k")
    mail = product("mail")
    assert mail.deduct("usr_1", idempotency_key="k").json()["balanceAfter"] == 3


def test_a_key_survives_the_change_of_the_products_service_key(as_service, give, article_rate):
    give("usr_1", 5)
    first = as_service.deduct("usr_1", idempotency_key="k")
    rotated = product()
    again = rotated.deduct("usr_1", idempotency_key="k")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"


def test_keys_are_compared_exactly(as_service, give, article_rate):
    give("usr_1", 10)
    for key in ("k", "K", "k ", " k", "k\N{COMBINING ACUTE ACCENT}"):
        as_service.deduct("usr_1", idempotency_key=key)
    assert available_of("usr_1") == 5


def test_a_refusal_does_not_use_the_key_up(as_service, give, article_rate):
    assert as_service.deduct("usr_1", idempotency_key="article:my-post-slug").json()["allowed"] is False
    give("usr_1", 10)
    response = as_service.deduct("usr_1", idempotency_key="article:my-post-slug")
    assert response.json() == {"allowed": True, "balanceBefore": 10, "balanceAfter": 9, "deducted": 1}
    assert "Idempotent-Replayed" not in response


def test_the_key_of_a_charge_given_back_in_whole_is_spent(as_service, give, article_rate):
    give("usr_1", 10)
    as_service.deduct("usr_1", count=2, idempotency_key="k")
    by_hand.give_back(entry=charges()[0], reason="It failed", key="refund:k", actor="test")
    response = as_service.deduct("usr_1", count=2, idempotency_key="k")
    assert response.status_code == 409
    assert response.json() == {"allowed": False, "error": "This charge was given back; use a new key"}
    assert available_of("usr_1") == 10


def test_the_key_of_a_charge_given_back_in_part_still_answers(as_service, give, article_rate):
    give("usr_1", 10)
    first = as_service.deduct("usr_1", count=2, idempotency_key="k")
    by_hand.give_back(entry=charges()[0], credits=1, reason="Half failed", key="refund:k", actor="test")
    assert as_service.deduct("usr_1", count=2, idempotency_key="k").content == first.content


def test_a_key_has_up_to_255_characters(as_service, give, article_rate):
    give("usr_1", 10)
    assert as_service.deduct("usr_1", idempotency_key="k" * 255).status_code == 200
    response = as_service.deduct("usr_1", idempotency_key="k" * 256)
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": "idempotency_key must be at most 255 characters"}


def test_a_header_is_no_key(as_service, give, article_rate):
    give("usr_1", 10)
    for _ in range(2):
        body = {"user_id": "usr_1", "feature": ARTICLE}
        as_service.post(PATH, body, headers={"Idempotency-Key": "k"})
    assert available_of("usr_1") == 8


# --- What may be charged ----------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["no.such.feature", "blog.article.generate ", "BLOG.ARTICLE.GENERATE"])
def test_an_unknown_feature_is_never_free(as_service, give, article_rate, feature):
    give("usr_1", 10)
    response = as_service.deduct("usr_1", feature)
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": f"Unknown feature: {feature}"}
    assert available_of("usr_1") == 10


def test_a_withdrawn_feature_is_never_free(as_service, give):
    set_price("blog.old", 1, active=False)
    give("usr_1", 10)
    response = as_service.deduct("usr_1", "blog.old")
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": "Unknown feature: blog.old"}


def test_an_unknown_feature_is_judged_before_the_balance(as_service):
    assert as_service.deduct("usr_new", "no.such.feature").status_code == 400


def test_a_limited_key_charges_its_own_features_only(give, article_rate):
    give("usr_1", 10)
    limited = product(feature_prefixes=["blog."])
    assert limited.deduct("usr_1", ARTICLE).json()["allowed"] is True
    response = limited.deduct("usr_1", "mail.send")
    assert response.status_code == 403
    assert response.json() == {"allowed": False, "error": "This service key may not charge mail.send"}
    assert available_of("usr_1") == 9


# --- Counts and fields ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "count must be at least 1"),
        (-1, "count must be at least 1"),
        (1_000_001, "count must be at most 1000000"),
        (10**30, "count must be at most 1000000"),
        (1.0, "count must be an integer"),
        (1.5, "count must be an integer"),
        ("1", "count must be an integer"),
        ("", "count must be an integer"),
        (True, "count must be an integer"),
        ([1], "count must be an integer"),
        ({}, "count must be an integer"),
    ],
)
def test_a_count_is_an_integer_from_1_to_a_million(as_service, give, article_rate, count, sentence):
    give("usr_1", 10)
    response = as_service.deduct("usr_1", count=count)
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": sentence}
    assert available_of("usr_1") == 10


def test_a_million_is_a_count(as_service, give, article_rate):
    give("usr_1", 1_000_000)
    assert as_service.deduct("usr_1", count=1_000_000).json()["balanceAfter"] == 0


NOT_PRINTABLE_TEXT = (
    (None, "is required"),
    ("", "must not be empty"),
    (7, "must be text"),
    (True, "must be text"),
    (["usr_1"], "must be text"),
    ({"id": "usr_1"}, "must be text"),
    ("a\x00b", "must hold printable characters only"),
    ("a\nb", "must hold printable characters only"),
    ("\ud800", "must hold printable characters only"),
)


@pytest.mark.parametrize("field", ["user_id", "feature"])
def test_a_required_field_is_printable_text(as_service, subtests, article_rate, field):
    for value, sentence in NOT_PRINTABLE_TEXT:
        with subtests.test(value=value):
            response = as_service.deduct(**{"user_id": "usr_1", "feature": ARTICLE} | {field: value})
            assert response.status_code == 400
            assert response.json() == {"allowed": False, "error": f"{field} {sentence}"}


@pytest.mark.parametrize("field", ["user_id", "feature"])
def test_a_missing_field_is_named(as_service, field):
    body = {"user_id": "usr_1", "feature": ARTICLE}
    del body[field]
    response = as_service.post(PATH, body)
    assert response.status_code == 400
    assert response.json() == {"allowed": False, "error": f"{field} is required"}


@pytest.mark.parametrize(("field", "longest"), [("user_id", 255), ("feature", 100)])
def test_a_field_has_a_length(as_service, field, longest):
    response = as_service.deduct(**{"user_id": "usr_1", "feature": ARTICLE} | {field: "x" * (longest + 1)})
    assert response.status_code == 400
    assert response.json()["error"] == f"{field} must be at most {longest} characters"


@pytest.mark.parametrize("key", ["", 7, True, ["k"], "a\x00b", "a\u200cb", "\u3164"])
def test_an_odd_idempotency_key_is_refused_not_ignored(as_service, give, article_rate, key):
    give("usr_1", 10)
    response = as_service.deduct("usr_1", idempotency_key=key)
    assert response.status_code == 400
    assert response.json()["allowed"] is False
    assert available_of("usr_1") == 10


# --- Who may charge ---------------------------------------------------------------------------------


def test_a_bearer_token_cannot_deduct(as_user, give, article_rate):
    give("usr_1", 10)
    response = as_user("usr_1").deduct("usr_1")
    assert response.status_code == 403
    assert response.json() == {
        "allowed": False,
        "error": "This endpoint needs a valid x-wallet-service-key",
    }
    assert available_of("usr_1") == 10


def test_an_expired_key_cannot_deduct(expired_service_key, give, article_rate):
    give("usr_1", 10)
    response = Caller({"x-wallet-service-key": expired_service_key}).deduct("usr_1")
    assert response.status_code == 403
    assert response.json() == {"allowed": False, "error": "Invalid x-wallet-service-key"}
    assert available_of("usr_1") == 10
