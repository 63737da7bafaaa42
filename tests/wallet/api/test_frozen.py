"""A wallet that staff froze: it refuses what spends, and lets go on what was promised or comes in."""

import pytest

from tests.wallet.reversed import leave_owing
from wallet.books import ledger
from wallet.models import Entry, Hold

pytestmark = pytest.mark.django_db

REFUSED = b'{"allowed":false,"balanceBefore":0,"required":1,"limitedBy":{"limit":"frozen"}}'


@pytest.fixture
def frozen(as_service, give, article_rate):
    """A wallet with 42 credits, a charge, and a hold of 5, that was frozen after that; the hold's id."""
    give("usr_1", 42)
    as_service.deduct(count=3, idempotency_key="article:1")
    hold_id = as_service.hold(count=5).json()["holdId"]
    ledger.set_frozen("usr_1", frozen=True)
    return hold_id


def test_charges_holds_and_quotes_are_refused_and_say_why(as_service, frozen):
    article = {"user_id": "usr_1", "feature": "blog.article.generate"}
    for response in (
        as_service.deduct(),
        as_service.deduct(idempotency_key="article:2"),
        as_service.hold(key="chat:78"),
        as_service.post("/io/wallet/quote", article),
    ):
        assert (response.status_code, response.content) == (200, REFUSED)
        assert response["Cache-Control"] == "no-store"
    assert (Entry.objects.count(), Hold.objects.count()) == (2, 1)


def test_the_refusal_of_a_debt_says_the_debt(as_service, give, article_rate):
    leave_owing(give, "usr_1", 15)
    ledger.set_frozen("usr_1", frozen=True)
    expected = {"allowed": False, "balanceBefore": -15, "required": 2, "limitedBy": {"limit": "frozen"}}
    assert as_service.deduct(count=2).json() == as_service.hold(count=2).json() == expected


def test_a_user_without_a_wallet_can_be_frozen(as_service, give, article_rate):
    ledger.set_frozen("usr_1", frozen=True)
    give("usr_1", 5)
    assert as_service.deduct().content == REFUSED


def test_first_answers_are_replayed(as_service, frozen):
    charged = as_service.deduct(count=3, idempotency_key="article:1")
    held = as_service.hold(count=5)
    assert (charged.json()["allowed"], held.json()["holdId"]) == (True, frozen)
    assert charged["Idempotent-Replayed"] == held["Idempotent-Replayed"] == "true"


def test_a_key_that_was_used_for_something_else_is_still_a_conflict(as_service, frozen):
    assert as_service.deduct(count=4, idempotency_key="article:1").status_code == 409
    assert as_service.hold(count=4).json()["code"] == "key_reused"


def test_open_holds_end_as_ever(as_service, frozen):
    assert as_service.end(frozen, "extend", ttl_seconds=3600).json()["state"] == "open"
    assert as_service.end(frozen, "capture", count=2).json()["captured_credits"] == 2
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 37}


def test_an_open_hold_can_be_voided(as_service, frozen):
    assert as_service.end(frozen, "void").json()["state"] == "voided"
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json() == {"credits": 39}


def test_refunds_and_top_ups_go_on(as_service, frozen, give):
    assert as_service.refund(charge_key="article:1").json()["available"] == 37
    give("usr_1", 10)
    assert as_service.get("/io/wallet/funds", user_id="usr_1").json()["available"] == 47


def test_grants_and_budgets_go_on(as_service, frozen):
    grant = as_service.grant()
    assert grant.json()["state"] == "active"
    voided = as_service.post(f"/io/wallet/grants/{grant.json()['id']}/void", {"user_id": "usr_1"})
    assert voided.json()["removed"] == 10
    assert as_service.budget(20).json()["spent"] == 8
    assert as_service.delete("/io/wallet/budgets", user_id="usr_1", period="day").status_code == 200


def test_reads_show_what_there_is(as_service, as_user, frozen):
    for caller, query in ((as_service, {"user_id": "usr_1"}), (as_user("usr_1"), {})):
        assert caller.get("/io/wallet/balance", **query).json() == {"credits": 34}
        assert caller.get("/io/wallet/funds", **query).json()["held"] == 5


def test_let_go_on_it_charges_again(as_service, frozen):
    ledger.set_frozen("usr_1", frozen=False)
    assert as_service.deduct().json() == {
        "allowed": True,
        "balanceBefore": 34,
        "balanceAfter": 33,
        "deducted": 1,
    }


def test_an_unknown_feature_is_judged_before_the_freeze(as_service, frozen):
    assert as_service.deduct(feature="no.such.feature").status_code == 400
    assert as_service.hold(feature="no.such.feature", key="chat:78").json()["code"] == "unknown_feature"
