"""How many holds a wallet may have, and how many requests a minute a caller has."""

import pytest

from accounts.models import RateCounter
from tests.conftest import product
from tests.wallet.api.endpoints import BALANCE, BUDGETS, FUNDS, GRANTS, HOLD, HOLDS, QUOTE
from tests.wallet.holding import many_holds
from wallet.models import Hold, Wallet

pytestmark = pytest.mark.django_db

TOO_MANY = {
    "allowed": False,
    "error": "Too many holds of this user are open; capture or void some first",
    "code": "too_many",
}
SLOW_DOWN = {"error": "Too many requests. Please slow down.", "code": "slow_down"}


# --- Open holds -------------------------------------------------------------------------------------


def test_a_product_has_200_open_holds_of_a_wallet(as_service, give, article_rate):
    give("usr_1", 1000)
    many_holds(199)
    last = as_service.hold(key="chat:200").json()["holdId"]
    refused = as_service.hold(key="chat:201")
    assert (refused.status_code, refused.json()) == (409, TOO_MANY)
    # Another product, another user, and charges go on, and a key that was used is replayed.
    assert product("mail").hold().json()["balanceAfter"] == 799
    give("usr_2", 1)
    assert as_service.hold("usr_2").json()["allowed"] is True
    assert as_service.deduct().json()["balanceAfter"] == 798
    assert as_service.hold(key="chat:200")["Idempotent-Replayed"] == "true"
    as_service.end(last, "capture")
    assert as_service.hold(key="chat:201").json()["allowed"] is True


def test_a_wallet_has_1000_open_holds(as_service, give, article_rate):
    give("usr_1", 2000)
    many_holds(199)
    for name in ("mail", "reach", "dev", "post"):
        many_holds(200, product=name)
    assert as_service.hold(key="chat:1000").json()["balanceAfter"] == 1000
    assert Wallet.objects.get().open_holds == 1000
    refused = product("seo").hold()
    assert (refused.status_code, refused.json()) == (409, TOO_MANY)
    as_service.end(Hold.objects.filter(product="blog")[0].pk, "void")
    assert product("seo").hold().json()["balanceBefore"] == 1001


def test_overdue_holds_do_not_count(as_service, give, article_rate):
    give("usr_1", 1000)
    many_holds(200, overdue=True)
    assert as_service.hold().json()["balanceBefore"] == 1000
    assert Wallet.objects.get().open_holds == 1


@pytest.mark.parametrize(("overdue", "open_after"), [(50, 250), (51, 200)])
def test_one_hold_too_many_ends_many_overdue_ones_for_good(
    transactional_db, as_service, give, article_rate, overdue, open_after
):
    """Otherwise each such answer would end them anew."""
    give("usr_1", 1000)
    many_holds(200)
    many_holds(overdue, product="mail", overdue=True)
    assert as_service.hold().json()["code"] == "too_many"
    assert Wallet.objects.get().open_holds == open_after


def test_too_few_credits_is_said_before_too_many_holds(as_service, give, article_rate):
    give("usr_1", 200)
    many_holds(200)
    assert as_service.hold().json() == {"allowed": False, "balanceBefore": 0, "required": 1}


# --- Requests a minute ------------------------------------------------------------------------------


@pytest.fixture
def three(settings, one_window):
    """Three requests a minute of each kind that has a limit."""
    settings.WALLET_READS_PER_MINUTE = settings.WALLET_WRITES_PER_MINUTE = 3


def statuses(call, count: int = 4) -> list[int]:
    return [call().status_code for _ in range(count)]


def test_reads_of_each_kind_have_counts_of_their_own(as_service, three):
    assert statuses(lambda: as_service.get(BALANCE, user_id="usr_1")) == [200, 200, 200, 429]
    assert statuses(lambda: as_service.get(FUNDS, user_id="usr_1")) == [200, 200, 200, 429]
    assert statuses(lambda: as_service.get(GRANTS, user_id="usr_1")) == [200, 200, 200, 429]
    assert statuses(lambda: as_service.get(BUDGETS, user_id="usr_1")) == [200, 200, 200, 429]
    # A list of holds and a hold share one.
    assert statuses(lambda: as_service.get(HOLDS, user_id="usr_1"), 2) == [200, 200]
    assert statuses(lambda: as_service.get(HOLD, user_id="usr_1"), 2) == [404, 429]
    last = as_service.get(FUNDS, user_id="usr_1")
    assert last.json() == SLOW_DOWN
    assert last["Cache-Control"] == "no-store"
    assert int(last["Retry-After"]) >= 1


@pytest.mark.parametrize("path", [FUNDS, HOLDS, GRANTS, BUDGETS])
def test_reads_are_counted_for_each_caller_and_user(as_service, as_user, three, path):
    for caller, query in (
        (as_service, {"user_id": "usr_1"}),
        (as_service, {"user_id": "usr_2"}),
        (product("mail"), {"user_id": "usr_1"}),
        (as_user("usr_1"), {}),
    ):
        assert statuses(lambda caller=caller, query=query: caller.get(path, **query)) == [200, 200, 200, 429]


@pytest.mark.parametrize("path", [FUNDS, HOLDS, GRANTS, BUDGETS])
def test_a_refused_read_counts_and_one_of_an_unknown_caller_does_not(as_service, as_anonymous, three, path):
    assert statuses(lambda: as_service.get(path, user_id=["usr_1", "usr_1"])) == [400, 400, 400, 429]
    assert statuses(lambda: as_anonymous.get(path, user_id="usr_1")) == [401] * 4


def test_refunds_are_counted_for_each_product(as_service, give, article_rate, three):
    for user_id in ("usr_1", "usr_2"):
        give(user_id, 10)
        as_service.deduct(user_id, idempotency_key="article:1", count=5)
    keys = iter(range(100))

    def refund(caller=as_service, user_id="usr_1"):
        return caller.refund(user_id, charge_key="article:1", credits=1, key=f"undo:{next(keys)}")

    assert statuses(refund, 2) == [200, 200]
    assert statuses(lambda: refund(user_id="usr_2"), 2) == [200, 429]
    assert refund().json() == SLOW_DOWN
    assert statuses(lambda: refund(product("blog")), 1) == [429]
    assert statuses(lambda: refund(product("mail"))) == [404, 404, 404, 429]


def test_refunds_grants_and_budgets_share_one_count_of_each_product(as_service, three):
    assert as_service.refund(charge_key="none").status_code == 404
    assert as_service.grant("usr_2").status_code == 200
    assert as_service.budget(20, "usr_3").status_code == 200
    slow = [
        as_service.grant(),
        as_service.post(f"{GRANTS}/grant_1/void", {"user_id": "usr_1"}),
        as_service.budget(20),
        as_service.delete(BUDGETS, user_id="usr_1", period="day"),
    ]
    for response in slow:
        assert (response.status_code, response.json()) == (429, SLOW_DOWN)
    assert product("mail").budget(20).status_code == 200
    assert as_service.get(BUDGETS, user_id="usr_1").status_code == 200


def test_the_usual_limit_of_writes_is_600(settings):
    assert settings.WALLET_WRITES_PER_MINUTE == 600


def test_what_ends_a_hold_has_no_limit(as_service, give, article_rate, settings, three):
    settings.WALLET_CHARGES_PER_MINUTE = 1000
    give("usr_1", 10)
    holds = [as_service.hold(key=f"chat:{n}").json()["holdId"] for n in range(5)]
    RateCounter.objects.all().delete()
    assert {as_service.end(each, "extend", ttl_seconds=3600).status_code for each in holds} == {200}
    assert {as_service.end(each, "capture").status_code for each in holds} == {200}
    assert {as_service.end(each, "void").status_code for each in holds} == {409}
    assert not RateCounter.objects.exists()


def test_holds_and_quotes_are_counted_with_charges_if_a_setting_asks(
    as_service, give, article_rate, settings, one_window
):
    give("usr_1", 10)
    article = {"user_id": "usr_1", "feature": "blog.article.generate"}
    assert as_service.hold().status_code == 200
    assert not RateCounter.objects.exists()
    settings.WALLET_CHARGES_PER_MINUTE = 3
    assert as_service.deduct().status_code == 200
    assert as_service.post(QUOTE, article).status_code == 200
    assert as_service.hold(key="chat:78").status_code == 200
    denied = as_service.hold(key="chat:79")
    assert denied.status_code == 429
    assert denied.json() == {"allowed": False} | SLOW_DOWN
    assert as_service.post(QUOTE, article).json() == SLOW_DOWN
    assert Hold.objects.count() == 2
