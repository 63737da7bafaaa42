"""GET /mail/v1/monetization/stats: the shape, the period, and a story with its figures."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from monetization import tips
from tests.monetization.conftest import (
    SPONSOR_BODY,
    SPONSORS,
    STATS,
    SUBSCRIPTION_BODY,
    SUBSCRIPTIONS,
    TIP,
    field_errors,
    in_days,
)

pytestmark = pytest.mark.django_db

NOUGHT = {
    "gross_cents": 0,
    "fee_cents": 0,
    "net_cents": 0,
    "refunded_cents": 0,
    "fee_returned_cents": 0,
    "net_after_refunds_cents": 0,
    "tips": 0,
    "sponsors_booked": 0,
    "sponsors_booked_cents": 0,
    "mrr_cents": 0,
    "at_risk_cents": 0,
    "paying_subscribers": 0,
    "subscriptions_of_unknown_interval": 0,
    "churn": {"left": 0, "of": 0, "percent": None},
}


def currencies(api, **query):
    response = api.get(STATS, **query)
    assert response.status_code == 200
    return response.json()["data"]["currencies"]


def test_nothing_earned_is_a_normal_answer(api):
    response = api.get(STATS)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    assert set(body) == {"success", "data"}
    assert body["success"] is True
    assert set(body["data"]) == {"period", "since", "until", "currencies"}
    assert body["data"]["period"] == "30d"
    assert body["data"]["currencies"] == {}


@pytest.mark.parametrize(("period", "days"), [("today", 1), ("7d", 7), ("30d", 30), ("90d", 90)])
def test_a_period_is_whole_days_todays_included(api, period, days):
    began = timezone.now()
    data = api.get(STATS, period=period).json()["data"]
    since, until = datetime.fromisoformat(data["since"]), datetime.fromisoformat(data["until"])
    assert data["period"] == period
    assert data["since"].endswith("T00:00:00Z")
    assert until - since < timedelta(days=days) <= until - since + timedelta(days=1)
    assert abs(until - began) < timedelta(seconds=30)


@pytest.mark.parametrize("period", ["", "1d", "30D", "week", "today ", "30"])
def test_an_unknown_period_is_a_validation_error(api, period):
    assert field_errors(api.get(STATS, period=period)) == {"period": ["Must be one of today, 7d, 30d, 90d"]}


def test_a_period_given_twice_is_a_validation_error(api):
    assert "period" in field_errors(api.get(f"{STATS}?period=7d&period=7d"))


def test_the_alias_is_the_same(api):
    assert api.get("/v1/monetization/stats").json()["data"]["currencies"] == {}


def test_what_happened_is_in_the_figures_per_currency(api):
    """Tips, a refund, sponsors, subscribers of whom one is late and one has left; and yen apart."""
    api.post(TIP, {"amount_cents": 500})
    refunded = api.post(TIP, {"amount_cents": 1000}).json()["tip_id"]
    tips.refund(tip_id=refunded, amount_cents=400, key="k", actor="test")
    api.post(TIP, {"amount_cents": 500, "currency": "JPY"})
    api.post(SPONSORS, SPONSOR_BODY | {"active_from": in_days(-1), "active_until": in_days(1)})
    api.post(SPONSORS, SPONSOR_BODY | {"active_from": in_days(1), "active_until": in_days(2)})
    for number, (plan, amount, status) in enumerate(
        [
            ("monthly", 799, "active"),
            ("annual", 7990, "active"),
            ("monthly", 500, "past_due"),
            ("monthly", 900, "cancelled"),
            ("gold", 100, "active"),
        ]
    ):
        made = api.post(
            SUBSCRIPTIONS,
            SUBSCRIPTION_BODY
            | {
                "subscriber_email": f"Reader{number // 2}@example.com",
                "plan": plan,
                "amount_cents": amount,
                "stripe_subscription_id": None,
            },
        )
        api.patch(f"{SUBSCRIPTIONS}/{made.json()['data']['id']}", {"status": status})
    assert currencies(api) == {
        "JPY": NOUGHT
        | {"gross_cents": 500, "fee_cents": 25, "net_cents": 475, "net_after_refunds_cents": 475, "tips": 1},
        "USD": NOUGHT
        | {
            "gross_cents": 1500,
            "fee_cents": 75,
            "net_cents": 1425,
            "refunded_cents": 400,
            "fee_returned_cents": 20,
            "net_after_refunds_cents": 1045,
            "tips": 2,
            "sponsors_booked": 1,
            "sponsors_booked_cents": 29900,
            # 799 + 7990 / 12 + 500 = 1964.83
            "mrr_cents": 1965,
            "at_risk_cents": 500,
            "paying_subscribers": 3,
            "subscriptions_of_unknown_interval": 1,
        },
    }


def test_amounts_are_integers(api):
    api.post(TIP, {"amount_cents": 500})
    figures = currencies(api)["USD"]
    assert {name for name, value in figures.items() if type(value) is not int} == {"churn"}


def test_a_strangers_money_is_not_in_it(api, strangers_api):
    strangers_api.post(TIP, {"amount_cents": 500})
    assert currencies(api) == {}


def test_it_takes_the_same_few_queries_however_much_there_is(api, django_assert_max_num_queries):
    for currency in ("USD", "EUR", "JPY", "GBP"):
        api.post(TIP, {"amount_cents": 500, "currency": currency})
    with django_assert_max_num_queries(8):  # The key, the limit, and the figures.
        assert len(currencies(api)) == 4
