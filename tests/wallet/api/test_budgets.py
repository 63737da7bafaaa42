"""PUT, DELETE and GET /io/wallet/budgets: the most that may be charged a user in a UTC day or month."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import product
from tests.wallet.api.endpoints import BUDGETS
from wallet.charges import budgets
from wallet.models import Budget, Wallet

pytestmark = pytest.mark.django_db

DELETED = b'{"deleted":true}'


@pytest.fixture
def blog(as_service, give, article_rate, clock):
    """The blog, and a user with 100 credits, at noon on 1 January 2020."""
    clock.set(datetime(2020, 1, 1, 12, tzinfo=UTC))
    give("usr_1", 100)
    return as_service


def set_by_user(period: str = "day", credits: int = 20, product: str = "", user_id: str = "usr_1") -> None:
    budgets.set_budget(user_id=user_id, set_by="user", product=product, period=period, credits=credits)


def row(credits: int = 20, spent: int = 0, period: str = "day", **fields: Any) -> dict[str, Any]:
    """The blog's own budget of 1 January 2020, or what else is said."""
    resets_at = "2020-01-02T00:00:00Z" if period == "day" else "2020-02-01T00:00:00Z"
    return {
        "user_id": "usr_1",
        "set_by": "product",
        "product": "blog",
        "period": period,
        "credits": credits,
        "spent": spent,
        "left": max(0, credits - spent),
        "alert_percent": 100,
        "resets_at": resets_at,
    } | fields


def rows(caller, **query) -> list[dict[str, Any]]:
    response = caller.get(BUDGETS, **query)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert list(response.json()) == ["items", "nextCursor"]
    assert response.json()["nextCursor"] is None
    return response.json()["items"]


# --- Setting ----------------------------------------------------------------------------------------


def test_the_answer_to_a_new_budget(blog):
    response = blog.budget(20)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert response.content == json.dumps(row(), separators=(",", ":")).encode()
    assert blog.budget(500, period="month", alert_percent=80).json() == row(
        500, period="month", alert_percent=80
    )
    assert rows(blog, user_id="usr_1") == [row(), row(500, period="month", alert_percent=80)]


def test_a_budget_counts_from_the_beginning_of_its_period(blog, clock):
    blog.deduct(count=4, idempotency_key="article:1")
    blog.refund(charge_key="article:1", credits=1)
    hold_id = blog.hold(count=7).json()["holdId"]
    blog.hold(key="short", count=2, ttl_seconds=1)
    product("mail").deduct(count=50)
    clock.advance(1)
    assert blog.budget(20).json() == row(spent=10)
    assert blog.end(hold_id, "capture", count=5).status_code == 200
    assert blog.budget(25, period="month").json() == row(25, spent=8, period="month")
    assert rows(blog, user_id="usr_1") == [row(spent=8), row(25, spent=8, period="month")]


def test_a_changed_budget_keeps_what_was_spent(blog):
    blog.budget(20, alert_percent=80)
    blog.deduct(count=17)
    assert blog.budget(30).json() == row(30, spent=17)  # 100 % again: the body is the whole budget.
    assert blog.budget(5).json() == row(5, spent=17, left=0)
    assert (Budget.objects.count(), Wallet.objects.get().budgets) == (1, 1)


@pytest.mark.parametrize(("credits", "alert_percent"), [(0, 1), (10**9, 100)])
def test_the_smallest_and_the_largest_budget(blog, credits, alert_percent):
    answer = blog.budget(credits, alert_percent=alert_percent).json()
    assert (answer["credits"], answer["left"], answer["alert_percent"]) == (credits, credits, alert_percent)


def test_null_leaves_the_alert_as_usual(blog):
    assert blog.budget(20, alert_percent=None).json() == row()


def test_a_user_without_a_wallet_can_have_a_budget(as_service, clock):
    assert as_service.budget(20, "usr_new").json() == row(user_id="usr_new")
    assert as_service.get("/io/wallet/balance", user_id="usr_new").json() == {"credits": 0}


def test_another_period_is_refused(blog):
    errors = {"": "must not be empty", None: "is required", "\x00": "must hold printable characters only"}
    for period in ("week", "Day", "", "day ", "day,month", None, "\x00", "x" * 9999):
        response = blog.budget(20, period=period)
        error = f"period {errors.get(period, 'must be one of day, month')}"
        assert (response.status_code, response.json()) == (400, {"error": error, "code": "invalid"})
    for not_text in (1, ["day"]):
        response = blog.budget(20, period=not_text)
        assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not Budget.objects.exists()


def test_a_missing_field_is_named(blog):
    for field in ("user_id", "period", "credits"):
        body = {"user_id": "usr_1", "period": "day", "credits": 20}
        del body[field]
        response = blog.put(BUDGETS, body)
        assert (response.status_code, response.json()["error"]) == (400, f"{field} is required")


def test_a_body_cannot_say_whose_budget_it_is(blog):
    """Unknown fields are ignored: a product sets its own budget alone."""
    assert blog.budget(20, set_by="user", product="mail", spent=-5).json() == row()


def test_one_budget_more_than_a_user_may_have_is_refused(blog, monkeypatch):
    monkeypatch.setattr(budgets, "BUDGETS_MAX", 1)
    set_by_user()
    response = blog.budget(20)
    assert response.status_code == 409
    assert response.json() == {
        "error": "This user has too many budgets; remove some first",
        "code": "too_many",
    }
    assert blog.budget(20, "usr_2").status_code == 200


# --- Removing ---------------------------------------------------------------------------------------


def test_a_removed_budget_is_gone_and_can_be_removed_again(blog):
    blog.budget(20)
    blog.budget(20, period="month")
    for _ in range(2):
        response = blog.delete(BUDGETS, user_id="usr_1", period="day")
        assert (response.status_code, response.content) == (200, DELETED)
        assert response["Cache-Control"] == "no-store"
        assert rows(blog, user_id="usr_1") == [row(period="month")]
    assert Wallet.objects.get().budgets == 1
    assert blog.delete(BUDGETS, user_id="usr_new", period="day").content == DELETED
    assert not Wallet.objects.filter(user_id="usr_new").exists()


def test_a_product_removes_its_own_budget_alone(blog, as_user):
    mail = product("mail")
    blog.budget(20)
    mail.budget(20)
    set_by_user()
    set_by_user(product="mail")
    mail.delete(BUDGETS, user_id="usr_1", period="day")
    assert [(each["set_by"], each.get("product")) for each in rows(as_user("usr_1"))] == [
        ("user", None), ("user", "mail"), ("product", "blog"),
    ]  # fmt: skip


BAD_QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"period": "day"}, "user_id is required"),
    ({"user_id": "usr_1"}, "period is required"),
    ({"user_id": "usr_1", "period": ""}, "period must be one of day, month"),
    ({"user_id": "usr_1", "period": "week"}, "period must be one of day, month"),
    ({"user_id": "usr_1", "period": "day\x00"}, "period must be one of day, month"),
    ({"user_id": "usr_1", "period": ["day", "month"]}, "period is given twice"),
    ({"user_id": ["usr_1", "usr_2"], "period": "day"}, "user_id is given twice"),
    ({"user_id": "", "period": "day"}, "user_id must be 1 to 255 printable characters"),
    ({"user_id": "x" * 256, "period": "day"}, "user_id must be 1 to 255 printable characters"),
    ({"user_id": "a\nb", "period": "day"}, "user_id must be 1 to 255 printable characters"),
]


def test_a_bad_query_removes_nothing(blog):
    blog.budget(20)
    for query, error in BAD_QUERIES:
        response = blog.delete(BUDGETS, **query)
        assert (response.status_code, response.json()) == (400, {"error": error, "code": "invalid"})
    assert Budget.objects.exists()


def test_a_body_says_nothing_to_a_delete(blog):
    """Not even that it is no JSON. The query says what to remove."""
    blog.budget(20)
    response = blog.client.delete(
        f"{BUDGETS}?user_id=usr_1&period=day", b"{", content_type="text/plain", headers=blog.headers
    )
    assert (response.status_code, response.content) == (200, DELETED)


def test_a_user_sets_and_removes_nothing_here(blog, as_user, as_anonymous):
    blog.budget(20)
    for caller in (as_user("usr_1"), as_anonymous):
        for response in (caller.budget(5), caller.delete(BUDGETS, user_id="usr_1", period="day")):
            assert (response.status_code, response.json()["code"]) == (403, "no_credentials")
    assert rows(blog, user_id="usr_1") == [row()]


# --- Reading ----------------------------------------------------------------------------------------


def test_a_product_sees_what_can_refuse_it_and_a_user_all(blog, as_user):
    mail = product("mail")
    for period in ("month", "day"):
        mail.budget(6, period=period)
        blog.budget(5, period=period)
    for number, name in enumerate(("", "mail", "blog", "reach")):
        set_by_user("month", number, name)
    set_by_user("day", 9)
    over_all = row(9, set_by="user")
    del over_all["product"]
    over_all_month = row(0, set_by="user", period="month")
    del over_all_month["product"]
    users = [
        row(number, set_by="user", product=name, period="month")
        for number, name in ((2, "blog"), (1, "mail"))
    ]
    of_blog, of_mail = (
        [row(credits, product=name), row(credits, product=name, period="month")]
        for credits, name in ((5, "blog"), (6, "mail"))
    )
    assert rows(blog, user_id="usr_1") == [over_all, over_all_month, users[0], *of_blog]
    assert rows(mail, user_id="usr_1") == [over_all, over_all_month, users[1], *of_mail]
    assert rows(product("dev"), user_id="usr_1") == [over_all, over_all_month]
    reach = row(3, set_by="user", product="reach", period="month")
    everything = [over_all, over_all_month, *users, reach, *of_blog, *of_mail]
    for query in ({}, {"user_id": "usr_1"}):
        assert rows(as_user("usr_1"), **query) == everything
    assert rows(as_user("usr_2")) == []


def test_who_may_not_read(blog, as_user, as_anonymous):
    cases = {
        (403, "not_yours"): as_user("usr_2").get(BUDGETS, user_id="usr_1"),
        (401, "no_credentials"): as_anonymous.get(BUDGETS, user_id="usr_1"),
        (400, "invalid"): blog.get(BUDGETS),
        (403, "may_not_read"): product(rights=["charge"]).get(BUDGETS, user_id="usr_1"),
    }
    for expected, response in cases.items():
        assert (response.status_code, response.json()["code"]) == expected


def test_reading_writes_nothing(blog, clock):
    """Neither a wallet, nor that a hold has expired, nor that a period has begun."""
    assert blog.get(BUDGETS, user_id="usr_new").content == b'{"items":[],"nextCursor":null}'
    assert not Wallet.objects.filter(user_id="usr_new").exists()
    blog.budget(20)
    blog.hold(count=4, ttl_seconds=60)
    assert rows(blog, user_id="usr_1") == [row(spent=4)]
    clock.advance(60)
    assert rows(blog, user_id="usr_1") == [row()]
    clock.advance(days=1)
    assert rows(blog, user_id="usr_1") == [row(resets_at="2020-01-03T00:00:00Z")]
    budget = Budget.objects.get()
    assert (budget.spent, f"{budget.starts}") == (4, "2020-01-01")


def test_head_answers_like_get_without_a_body(blog):
    response = blog.client.head(f"{BUDGETS}?user_id=usr_1", headers=blog.headers)
    assert (response.status_code, response.content) == (200, b"")
    assert response["Cache-Control"] == "no-store"
