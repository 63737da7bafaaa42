"""Charges, holds and quotes against budgets: what they refuse, what they say, and what counts as spent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Caller, product
from tests.wallet.api.endpoints import BUDGETS, GRANTS, QUOTE
from tests.wallet.reversed import leave_owing
from wallet.books import ledger
from wallet.charges import budgets
from wallet.models import Entry, Hold

pytestmark = pytest.mark.django_db

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
DAY_ENDS, MONTH_ENDS = "2020-01-02T00:00:00Z", "2020-02-01T00:00:00Z"


@pytest.fixture
def blog(as_service, give, article_rate, clock) -> Caller:
    """The blog, and a user with 100 credits, at noon on 1 January 2020."""
    clock.set(NOON)
    give("usr_1", 100)
    return as_service


def set_by_user(credits: int, period: str = "day", product: str = "") -> None:
    budgets.set_budget(user_id="usr_1", set_by="user", product=product, period=period, credits=credits)


def limited_by(credits: int, spent: int = 0, period: str = "day", **facts: Any) -> dict[str, Any]:
    """The blog's own budget as a refusal names it, or what else is said."""
    whose = {"setBy": "product", "product": "blog"}
    resets_at = DAY_ENDS if period == "day" else MONTH_ENDS
    numbers = {"period": period, "credits": credits, "spent": spent, "resetsAt": resets_at}
    return {"limit": "budget"} | whose | numbers | facts


def all_refuse(caller: Caller, count: int, room: int, budget: dict[str, Any] | None) -> None:
    """Charges, holds and quotes of so many credits are refused in the same words, and move nothing."""
    expected: dict[str, Any] = {"allowed": False, "balanceBefore": room, "required": count}
    expected |= {"limitedBy": budget} if budget else {}
    before = Entry.objects.count(), Hold.objects.count()
    feature = {"user_id": "usr_1", "feature": "blog.article.generate", "count": count}
    for response in (
        caller.deduct(count=count, idempotency_key="a refused one"),
        caller.hold(count=count, key="a refused one"),
        caller.post(QUOTE, feature),
    ):
        assert (response.status_code, response.json()) == (200, expected)
    assert (Entry.objects.count(), Hold.objects.count()) == before


def spent(caller: Caller, user_id: str = "usr_1") -> list[int]:
    return [row["spent"] for row in caller.get(BUDGETS, user_id=user_id).json()["items"]]


# --- Refusals ---------------------------------------------------------------------------------------


def test_a_refusal_is_exactly_as_in_the_contract(blog, clock):
    clock.set(datetime(2025, 11, 29, 12, tzinfo=UTC))
    set_by_user(20, product="blog")
    blog.deduct(count=17)
    assert blog.deduct(count=4).content == (
        b'{"allowed":false,"balanceBefore":3,"required":4,"limitedBy":{"limit":"budget","setBy":"user",'
        b'"product":"blog","period":"day","credits":20,"spent":17,"resetsAt":"2025-11-30T00:00:00Z"}}'
    )
    assert blog.deduct(count=3).json() == {
        "allowed": True,
        "balanceBefore": 83,
        "balanceAfter": 80,
        "deducted": 3,
    }


def test_up_to_the_budget_all_is_allowed_and_above_it_all_is_refused(blog):
    blog.budget(20)
    all_refuse(blog, 21, 20, limited_by(20))
    assert blog.post(QUOTE, {"user_id": "usr_1", "feature": "blog.article.generate", "count": 20}).json() == {
        "allowed": True,
        "balanceBefore": 100,
        "balanceAfter": 80,
        "deducted": 20,
    }
    assert blog.hold(count=17).json()["balanceAfter"] == 83
    assert blog.deduct(count=3, idempotency_key="article:1").json()["balanceAfter"] == 80
    all_refuse(blog, 1, 0, limited_by(20, 20))
    # What was allowed stays allowed: first answers come again, and a hold is captured.
    assert blog.deduct(count=3, idempotency_key="article:1")["Idempotent-Replayed"] == "true"
    assert blog.hold(count=17)["Idempotent-Replayed"] == "true"
    assert blog.end(Hold.objects.get().pk, "capture").json()["captured_credits"] == 17
    # The keys of refusals are not used up.
    blog.budget(21)
    assert blog.deduct(idempotency_key="a refused one").json()["allowed"] is True


def test_a_budget_of_nothing_stops_the_product_and_no_other(blog):
    blog.budget(0)
    all_refuse(blog, 1, 0, limited_by(0))
    assert product("mail").deduct().json()["allowed"] is True
    blog.delete(BUDGETS, user_id="usr_1", period="day")
    assert blog.deduct().json() == {
        "allowed": True,
        "balanceBefore": 99,
        "balanceAfter": 98,
        "deducted": 1,
    }


def test_every_budget_that_applies_must_have_room(blog):
    """Each of the six refuses alone. Budgets of other products don't."""
    mail = product("mail")
    mail.budget(0)
    mail.budget(0, period="month")
    set_by_user(0, product="mail")
    set_by_user(0, "month", product="mail")
    assert blog.deduct().json()["allowed"] is True
    over_all = {"setBy": "user"}
    for period in ("day", "month"):
        blog.budget(3, period=period)
        all_refuse(blog, 3, 2, limited_by(3, 1, period))
        blog.delete(BUDGETS, user_id="usr_1", period=period)
        for name in ("blog", ""):
            set_by_user(3, period, name)
            expected = limited_by(3, 1, period, **over_all)
            if not name:
                del expected["product"]
            all_refuse(blog, 3, 2, expected)
            budgets.remove_budget(user_id="usr_1", set_by="user", product=name, period=period)
    assert blog.deduct(count=3).json()["allowed"] is True


def test_the_budget_with_the_least_left_is_named(blog):
    blog.budget(9)
    blog.budget(7, period="month")
    set_by_user(8)
    all_refuse(blog, 10, 7, limited_by(7, period="month"))
    all_refuse(blog, 8, 7, limited_by(7, period="month"))
    blog.budget(6)
    all_refuse(blog, 10, 6, limited_by(6))


def test_of_equals_the_one_that_resets_last_is_named(blog):
    blog.budget(7, period="month")
    blog.budget(7)
    set_by_user(7)
    all_refuse(blog, 8, 7, limited_by(7, period="month"))
    # Of equals that reset together it is the user's own, whatever was written last.
    set_by_user(7, "month", product="blog")
    for _ in range(2):
        all_refuse(blog, 8, 7, limited_by(7, period="month", setBy="user"))
        blog.budget(7, period="month")


def test_fewer_credits_than_the_budget_has_left_are_an_ordinary_refusal(blog):
    blog.deduct(count=90)
    blog.budget(101)
    all_refuse(blog, 12, 10, None)
    # As many credits as the budget has left: the credits are the reason.
    blog.budget(100)
    all_refuse(blog, 12, 10, None)
    blog.budget(99)
    all_refuse(blog, 12, 9, limited_by(99, 90))
    # A budget that would not refuse it is not the reason, although it has less left than there is.
    assert blog.deduct(count=9).json()["allowed"] is True


def test_in_a_debt_the_debt_is_the_reason(as_service, give, article_rate):
    leave_owing(give, "usr_1", 15)
    as_service.budget(0)
    all_refuse(as_service, 2, -15, None)


def test_a_user_who_has_nothing_hears_of_the_credits(as_service, article_rate):
    as_service.budget(0)
    all_refuse(as_service, 1, 0, None)


def test_a_freeze_is_said_before_a_budget(blog):
    blog.budget(0)
    ledger.set_frozen("usr_1", frozen=True)
    all_refuse(blog, 1, 0, {"limit": "frozen"})


def test_an_unknown_feature_is_said_before_a_budget(blog):
    blog.budget(0)
    assert blog.deduct(feature="none").status_code == 400
    assert blog.hold(feature="none").json()["code"] == "unknown_feature"


def test_other_users_and_wallets_without_budgets_hear_nothing_of_it(blog, give):
    blog.budget(0)
    give("usr_2", 5)
    assert blog.deduct("usr_2", count=6).content == b'{"allowed":false,"balanceBefore":5,"required":6}'


def test_granted_credits_spend_budgets_too(blog, clock):
    blog.grant(expires_at=f"{clock.now + timedelta(days=1)}")
    blog.budget(8)
    blog.deduct(count=6)
    assert spent(blog) == [6]
    all_refuse(blog, 3, 2, limited_by(8, 6))


# --- What counts as spent ---------------------------------------------------------------------------


def test_holds_count_at_once_and_what_they_release_does_not(blog, clock):
    blog.budget(20)
    captured, voided = (blog.hold(key=key, count=8).json()["holdId"] for key in ("a", "b"))
    blog.hold(key="c", count=4, ttl_seconds=60)
    assert spent(blog) == [20]
    all_refuse(blog, 1, 0, limited_by(20, 20))
    blog.end(captured, "capture", count=5)
    assert spent(blog) == [17]
    blog.end(voided, "void")
    assert spent(blog) == [9]
    all_refuse(blog, 12, 11, limited_by(20, 9))
    clock.advance(60)
    assert spent(blog) == [5]  # The third has expired, written down or not.
    all_refuse(blog, 16, 15, limited_by(20, 5))
    assert blog.deduct(count=15).json()["allowed"] is True
    assert spent(blog) == [20]


def test_what_is_given_back_does_not_count(blog):
    blog.budget(20)
    blog.deduct(count=20, idempotency_key="article:1")
    blog.refund(charge_key="article:1", credits=4)
    assert spent(blog) == [16]
    hold_id = blog.hold(count=4).json()["holdId"]
    blog.end(hold_id, "capture")
    blog.refund(hold_id=hold_id, key="undo:2")
    assert spent(blog) == [16]


def test_what_is_no_charge_does_not_count(blog, give, clock):
    blog.budget(20)
    grant_id = blog.grant(expires_at=f"{clock.now + timedelta(minutes=2)}").json()["id"]
    blog.grant(key="b", expires_at=f"{clock.now + timedelta(minutes=1)}")
    give("usr_1", 10)
    blog.post(f"{GRANTS}/{grant_id}/void", {"user_id": "usr_1"})
    clock.advance(60)
    blog.deduct()
    assert Entry.objects.filter(kind="expiry").count() == 2
    assert spent(blog) == [1]


def test_each_product_counts_its_own_and_the_users_budget_all(blog, as_user):
    mail = product("mail")
    blog.budget(20)
    mail.budget(30)
    set_by_user(40)
    set_by_user(50, product="mail")
    blog.deduct(count=3)
    mail.hold(count=4)
    product("dev").deduct(count=5)
    assert spent(blog) == [12, 3]
    assert spent(mail) == [12, 4, 4]
    assert spent(as_user("usr_1")) == [12, 4, 3, 4]


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_new_period_begins_at_nothing(blog, clock, period):
    ends = datetime(2020, 1, 2, tzinfo=UTC) if period == "day" else datetime(2020, 2, 1, tzinfo=UTC)
    blog.budget(20, period=period)
    clock.set(ends - timedelta(microseconds=1))
    blog.deduct(count=20, idempotency_key="article:1")
    all_refuse(blog, 1, 0, limited_by(20, 20, period, resetsAt=f"{ends:%Y-%m-%dT%H:%M:%SZ}"))
    clock.set(ends)
    next_end = "2020-01-03T00:00:00Z" if period == "day" else "2020-03-01T00:00:00Z"
    all_refuse(blog, 21, 20, limited_by(20, 0, period, resetsAt=next_end))
    [row] = blog.get(BUDGETS, user_id="usr_1").json()["items"]
    assert (row["spent"], row["left"], row["resets_at"]) == (0, 20, next_end)
    assert blog.deduct(count=20).json()["allowed"] is True
    # What comes back of yesterday's charge lowers yesterday's sum.
    blog.refund(charge_key="article:1", credits=5)
    assert spent(blog) == [20]


@pytest.mark.parametrize("verb", ["capture", "void", "expire"])
def test_a_hold_counts_in_the_period_in_which_it_was_made(blog, clock, verb):
    blog.budget(20)
    blog.budget(90, period="month")
    hold_id = blog.hold(count=15, ttl_seconds=86_400).json()["holdId"]
    assert spent(blog) == [15, 15]
    clock.set(datetime(2020, 1, 2, 1, tzinfo=UTC))
    assert spent(blog) == [0, 15]
    assert blog.deduct(count=18).json()["allowed"] is True
    assert spent(blog) == [18, 33]
    if verb == "expire":
        clock.advance(days=1)
        assert spent(blog) == [0, 18]
        assert blog.deduct().json()["allowed"] is True
        assert spent(blog) == [1, 19]
        return
    blog.end(hold_id, verb, **({"count": 5} if verb == "capture" else {}))
    assert spent(blog) == [18, 23 if verb == "capture" else 18]
    all_refuse(blog, 3, 2, limited_by(20, 18, resetsAt="2020-01-03T00:00:00Z"))
    if verb == "capture":
        blog.refund(hold_id=hold_id, credits=2)
        assert spent(blog) == [18, 21]


def test_a_budget_that_is_set_later_counts_the_same(blog, clock):
    blog.hold(key="yesterday", count=15, ttl_seconds=7 * 86_400)
    blog.deduct(count=2)
    clock.set(datetime(2020, 1, 2, 1, tzinfo=UTC))
    blog.end(Hold.objects.get().pk, "capture", count=5)
    blog.deduct(count=3)
    assert blog.budget(20).json()["spent"] == 3
    assert blog.budget(90, period="month").json()["spent"] == 10
    blog.delete(BUDGETS, user_id="usr_1", period="day")
    blog.deduct(count=4)
    assert blog.budget(20).json()["spent"] == 7
    assert spent(blog) == [7, 14]
