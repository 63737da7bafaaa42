"""POST /io/wallet/holds: credits are set aside before the work, at the price of that moment."""

import json
from datetime import timedelta

import pytest

from tests.conftest import product
from tests.wallet.holding import many_holds, past_hold, standing, wait_for_the_end
from wallet.books import ledger
from wallet.models import Entry, Hold, Wallet
from wallet.prices import rates

pytestmark = pytest.mark.django_db

PATH = "/io/wallet/holds"
ARTICLE = "blog.article.generate"


def set_price(feature: str, credits: int, *, active: bool = True) -> None:
    rates.set_rate(feature=feature, label="Label", credits=credits, unit="unit", active=active, actor="test")


# --- What is set aside ------------------------------------------------------------------------------


def test_a_hold_sets_the_price_aside_and_says_what_can_still_be_spent(as_service, give, article_rate):
    give("usr_1", 42)
    response = as_service.hold(count=5)
    assert response.status_code == 200
    hold = Hold.objects.get()
    assert response.content.decode() == (
        f'{{"allowed":true,"balanceBefore":42,"balanceAfter":37,"holdId":"{hold.pk}","held":5,'
        f'"expiresAt":"{hold.expires_at:%Y-%m-%dT%H:%M:%SZ}"}}'
    )
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response
    assert hold.pk.startswith("hold_")


def test_nothing_moves_in_the_ledger(as_service, give, article_rate):
    give("usr_1", 42)
    as_service.hold(count=5)
    assert standing() == (42, 5, 1)
    assert Entry.objects.count() == 1
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 37}
    assert as_service.get("/io/wallet/transactions", user_id="usr_1").json()["items"][0]["type"] == "topup"


def test_the_hold_tells_the_whole_story(as_service, give, article_rate):
    give("usr_1", 42)
    as_service.hold(count=5, ttl_seconds=60, key="chat:1")
    hold = Hold.objects.get()
    assert (hold.wallet_id, hold.product, hold.feature, hold.count, hold.credits) == (
        "usr_1", "blog", ARTICLE, 5, 5,
    )  # fmt: skip
    assert (hold.state, hold.available_before, hold.idempotency_key) == ("open", 42, "chat:1")
    assert hold.actor.startswith("service:wsk_")
    assert hold.expires_at - hold.created_at == timedelta(seconds=60)


@pytest.mark.parametrize("ttl_seconds", [None, 1, 900, 604_800])
def test_a_hold_lasts_as_long_as_was_asked_or_fifteen_minutes(as_service, give, article_rate, ttl_seconds):
    give("usr_1", 1)
    assert as_service.hold(ttl_seconds=ttl_seconds).json()["allowed"] is True
    hold = Hold.objects.get()
    assert hold.expires_at - hold.created_at == timedelta(seconds=ttl_seconds or 900)


def test_the_price_is_the_rates_now_and_stays(as_service, give):
    set_price("blog.video", 7)
    give("usr_1", 100)
    made = as_service.hold(feature="blog.video", count=3).json()
    assert (made["held"], made["balanceAfter"]) == (21, 79)
    set_price("blog.video", 9)
    row = as_service.end(made["holdId"], "capture", count=2).json()
    assert (row["credits"], row["captured_credits"]) == (21, 14)
    assert as_service.hold(feature="blog.video", key="chat:78").json()["held"] == 9


def test_the_largest_hold(as_service, give):
    set_price("blog.gold", 1_000_000_000)
    give("usr_1", 10)
    assert as_service.hold(feature="blog.gold", count=1_000_000).json() == {
        "allowed": False,
        "balanceBefore": 10,
        "required": 1_000_000_000_000_000,
    }


def test_the_last_credits_can_be_set_aside_and_then_nothing_is_left(as_service, give, article_rate):
    give("usr_1", 10)
    assert as_service.hold(count=6).json()["balanceAfter"] == 4
    assert as_service.hold(count=5, key="chat:78").json() == {
        "allowed": False,
        "balanceBefore": 4,
        "required": 5,
    }
    assert as_service.hold(count=4, key="chat:78").json()["balanceAfter"] == 0
    assert as_service.deduct().json() == {"allowed": False, "balanceBefore": 0, "required": 1}
    assert standing() == (10, 10, 2)


def test_a_charge_beside_a_hold_shows_what_can_be_spent_and_the_history_the_ledger(
    as_service, give, article_rate
):
    give("usr_1", 10)
    as_service.hold(count=4)
    assert as_service.deduct(count=2, idempotency_key="k").json() == {
        "allowed": True,
        "balanceBefore": 6,
        "balanceAfter": 4,
        "deducted": 2,
    }
    row = as_service.get("/io/wallet/transactions", user_id="usr_1", limit=1).json()["items"][0]
    assert (row["type"], row["credits"], row["balance_after"]) == ("deduct", -2, 8)
    # A replay says what was available then, whatever is held now.
    as_service.hold(count=1, key="chat:78")
    assert as_service.deduct(count=2, idempotency_key="k").json()["balanceAfter"] == 4


def test_null_in_an_optional_field_means_absent_and_unknown_fields_are_ignored(
    as_service, give, article_rate
):
    give("usr_1", 10)
    made = as_service.hold(count=None, ttl_seconds=None, credits=7, product="mail", state="captured").json()
    assert made["held"] == 1
    hold = Hold.objects.get()
    assert (hold.product, hold.state, hold.ttl_seconds) == ("blog", "open", 900)


# --- Too few credits --------------------------------------------------------------------------------


def test_too_few_credits_is_deducts_refusal_and_sets_nothing_aside(as_service, give, article_rate):
    give("usr_1", 4)
    response = as_service.hold(count=5)
    assert response.status_code == 200
    assert response.content == b'{"allowed":false,"balanceBefore":4,"required":5}'
    assert response["Cache-Control"] == "no-store"
    assert standing() == (4, 0, 0)
    assert not Hold.objects.exists()


def test_an_unknown_user_gets_no_hold_and_no_wallet(as_service, article_rate):
    assert as_service.hold("usr_new").content == b'{"allowed":false,"balanceBefore":0,"required":1}'
    assert not Wallet.objects.exists()


def test_a_refusal_does_not_use_the_key_up(as_service, give, article_rate):
    assert as_service.hold().json()["allowed"] is False
    give("usr_1", 1)
    response = as_service.hold()
    assert response.json()["allowed"] is True
    assert "Idempotent-Replayed" not in response


def test_an_overdue_hold_never_refuses(as_service, give, article_rate):
    """Whether its end was written down or not."""
    give("usr_1", 10)
    past_hold(credits=8)
    assert standing() == (10, 8, 1)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 10}
    assert as_service.hold(count=10).json()["balanceBefore"] == 10
    assert standing() == (10, 10, 1)


def test_a_hold_that_is_covered_also_ends_what_is_overdue(as_service, give, article_rate):
    give("usr_1", 10)
    past_hold(credits=3)
    assert as_service.hold(count=2).json()["balanceBefore"] == 10
    assert standing() == (10, 2, 1)


def test_a_refusal_after_overdue_holds_says_all_that_can_be_spent(as_service, give, article_rate):
    give("usr_1", 10)
    past_hold(credits=8)
    assert as_service.hold(count=11).json() == {"allowed": False, "balanceBefore": 10, "required": 11}
    assert as_service.deduct(count=11).json() == {"allowed": False, "balanceBefore": 10, "required": 11}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("overdue", "open_after"), [(50, 50), (51, 0)])
def test_a_refusal_writes_nothing_unless_more_than_fifty_holds_are_overdue(
    as_service, give, article_rate, overdue, open_after
):
    give("usr_1", 60)
    many_holds(overdue, overdue=True)
    assert as_service.hold(count=61).json() == {"allowed": False, "balanceBefore": 60, "required": 61}
    assert standing() == (60, open_after, open_after)
    assert as_service.deduct(count=61).json() == {"allowed": False, "balanceBefore": 60, "required": 61}


def test_a_hold_that_ends_by_the_clock(as_service, give, article_rate):
    give("usr_1", 6)
    hold_id = as_service.hold(count=5, ttl_seconds=1).json()["holdId"]
    wait_for_the_end(hold_id)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 6}
    assert as_service.deduct(count=6).json()["balanceBefore"] == 6
    late = as_service.end(hold_id, "capture")
    assert (late.status_code, late.json()["code"]) == (409, "hold_expired")


# --- The same key again -----------------------------------------------------------------------------


def test_the_same_key_again_answers_the_same_bytes_and_holds_once(as_service, give, article_rate):
    give("usr_1", 42)
    first = as_service.hold(count=5)
    again = as_service.hold(count=5)
    assert again.status_code == 200
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert again["Cache-Control"] == "no-store"
    assert standing() == (42, 5, 1)


def test_how_long_it_lasts_does_not_decide(as_service, give, article_rate):
    give("usr_1", 42)
    first = as_service.hold(ttl_seconds=60)
    again = as_service.hold(ttl_seconds=600)
    assert again.content == first.content
    assert Hold.objects.get().ttl_seconds == 60


def test_a_replay_does_not_care_for_what_changed_since(as_service, give, article_rate):
    give("usr_1", 5)
    first = as_service.hold(count=3, ttl_seconds=60)
    hold_id = first.json()["holdId"]

    def replays():
        again = as_service.hold(count=3)
        assert again.content == first.content
        assert again["Idempotent-Replayed"] == "true"

    as_service.deduct(count=2)
    replays()
    set_price(ARTICLE, 500)
    replays()
    set_price(ARTICLE, 1, active=False)
    replays()
    ledger.set_frozen("usr_1", frozen=True)
    replays()
    # The end has moved, and the first answer's end has not.
    assert as_service.end(hold_id, "extend", ttl_seconds=7200).status_code == 200
    replays()
    as_service.end(hold_id, "capture", count=1)
    replays()


@pytest.mark.parametrize("change", [{"count": 2}, {"feature": "mail.send"}, {"feature": "no.such.feature"}])
def test_the_same_key_for_another_request_is_a_conflict(as_service, give, article_rate, change):
    give("usr_1", 42)
    hold_id = as_service.hold().json()["holdId"]
    conflict = {
        "allowed": False,
        "error": "This idempotency_key was used for another feature or count",
        "code": "key_reused",
    }
    response = as_service.hold(**change)
    assert (response.status_code, response.json()) == (409, conflict)
    # That is judged before whether the hold still covers anything.
    as_service.end(hold_id, "void")
    assert as_service.hold(**change).json() == conflict
    assert standing() == (42, 0, 0)


ENDED = {
    "allowed": False,
    "error": "The hold of this key has ended or its charge was given back; use a new key",
    "code": "key_ended",
}


def test_the_key_of_a_voided_hold_is_spent(as_service, give, article_rate):
    give("usr_1", 42)
    as_service.end(as_service.hold().json()["holdId"], "void")
    response = as_service.hold()
    assert (response.status_code, response.json()) == (409, ENDED)
    assert standing() == (42, 0, 0)


@pytest.mark.parametrize("written_down", [False, True])
def test_the_key_of_an_expired_hold_is_spent(as_service, give, article_rate, written_down):
    give("usr_1", 42)
    past_hold(key="chat:77")
    if written_down:
        as_service.deduct(count=41)
        assert Hold.objects.get().state == "expired"
    response = as_service.hold()
    assert (response.status_code, response.json()) == (409, ENDED)


def test_the_key_of_a_captured_hold_answers_until_its_charge_is_given_back(as_service, give, article_rate):
    give("usr_1", 42)
    first = as_service.hold(count=5)
    hold_id = first.json()["holdId"]
    as_service.end(hold_id, "capture", count=3)
    assert as_service.hold(count=5).content == first.content
    assert as_service.refund(hold_id=hold_id, credits=2).status_code == 200
    assert as_service.hold(count=5).content == first.content
    assert as_service.refund(hold_id=hold_id, credits=1, key="undo:2").status_code == 200
    response = as_service.hold(count=5)
    assert (response.status_code, response.json()) == (409, ENDED)


def test_a_hold_and_a_charge_with_one_key_are_two(as_service, give, article_rate):
    """The trap: work that is held and also charged is paid twice."""
    give("usr_1", 10)
    hold_id = as_service.hold(key="article:x", count=2).json()["holdId"]
    assert as_service.deduct(idempotency_key="article:x", count=2).json()["balanceAfter"] == 6
    as_service.end(hold_id, "capture")
    assert standing() == (6, 0, 0)


def test_a_key_belongs_to_one_user_and_one_product(as_service, give, article_rate):
    give("usr_1", 5)
    give("usr_2", 5)
    held = [as_service.hold(), as_service.hold("usr_2"), product("mail").hold()]
    assert len({answer.json()["holdId"] for answer in held}) == 3
    assert not any("Idempotent-Replayed" in answer for answer in held)
    rotated = product("blog").hold()
    assert rotated.content == held[0].content


def test_a_key_has_up_to_255_characters_and_is_compared_exactly(as_service, give, article_rate):
    give("usr_1", 10)
    keys = ["k", "K", "k ", " k", "k" * 255]
    assert len({as_service.hold(key=key).json()["holdId"] for key in keys}) == 5


# --- What may be held -------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["no.such.feature", "blog.old"])
def test_an_unknown_or_withdrawn_feature_is_never_free(as_service, give, feature):
    set_price("blog.old", 1, active=False)
    give("usr_1", 10)
    response = as_service.hold(feature=feature)
    assert response.status_code == 400
    assert response.json() == {
        "allowed": False,
        "error": f"Unknown feature: {feature}",
        "code": "unknown_feature",
    }
    assert standing() == (10, 0, 0)


def test_a_limited_key_holds_for_its_own_features_only(give, article_rate):
    give("usr_1", 10)
    limited = product("blog", feature_prefixes=["blog."])
    assert limited.hold().json()["allowed"] is True
    response = limited.hold(feature="mail.send", key="chat:78")
    assert response.status_code == 403
    assert json.loads(response.content) == {
        "allowed": False,
        "error": "This service key may not charge mail.send",
        "code": "feature_not_allowed",
    }
