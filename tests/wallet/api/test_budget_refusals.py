"""Charges, holds and quotes against budgets: what they refuse, what they say, and what counts as spent."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import Caller, product
from tests.wallet.api.endpoints import BUDGETS, QUOTE
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


def test_other_reasons_are_said_before_a_budget(blog):
    """As few credits as the budget has left, a freeze, and an unknown feature."""
    blog.budget(100)
    all_refuse(blog, 101, 100, None)
    blog.budget(99)
    all_refuse(blog, 101, 99, limited_by(99))
    assert blog.deduct(feature="none").status_code == 400
    assert blog.hold(count=100, feature="none").json()["code"] == "unknown_feature"
    ledger.set_frozen("usr_1", frozen=True)
    all_refuse(blog, 101, 0, {"limit": "frozen"})


def test_the_users_budget_over_all_products_names_no_product(blog):
    """It has less left than those of the product."""
    blog.budget(9)
    blog.budget(8, period="month")
    set_by_user(7, "month")
    budget = limited_by(7, period="month", setBy="user")
    del budget["product"]
    all_refuse(blog, 10, 7, budget)


# --- What counts as spent ---------------------------------------------------------------------------


def test_charges_and_holds_count_when_they_are_made_and_what_comes_back_does_not(blog, clock):
    blog.budget(20)
    blog.budget(90, period="month")
    hold_id = blog.hold(count=15, ttl_seconds=86_400).json()["holdId"]
    blog.deduct(count=5, idempotency_key="article:1")
    assert spent(blog) == [20, 20]
    blog.refund(charge_key="article:1", credits=4)
    assert spent(blog) == [16, 16]
    clock.set(datetime(2020, 1, 2, 1, tzinfo=UTC))
    assert spent(blog) == [0, 16]
    blog.end(hold_id, "capture", count=5)
    assert spent(blog) == [0, 6]
    all_refuse(blog, 21, 20, limited_by(20, resetsAt="2020-01-03T00:00:00Z"))


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
