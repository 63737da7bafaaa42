"""The small line of churn: each point is the churn at the end of its step, by reader and by currency."""

import pytest

from monetization.days import closing
from monetization.figures import churn
from monetization.figures.periods import period_of
from monetization.figures.stats import Churn
from tests.monetization.records import NOON, change, clock_at, days, subscribe

pytestmark = pytest.mark.django_db


def line(creator, currency="USD", name="7d", at_end=Churn(1, 4)):  # noqa: B008 (it is frozen)
    return churn.by_day(creator, currency, period_of(creator, name, at=NOON), at_end=at_end)


def subscribed(creator, ago, *addresses, **facts):
    with clock_at(NOON - days(ago)):
        return [subscribe(creator, address, **facts) for address in addresses]


def cancelled(subscription, ago):
    with clock_at(NOON - days(ago)):
        change(subscription, status="cancelled")


@pytest.fixture
def four(creator):
    """Four readers who have paid for longer than 30 days."""
    return subscribed(creator, 40, *(f"reader{number}@example.com" for number in range(4)))


def test_a_point_is_who_left_within_30_days_of_who_paid_30_days_before(creator, stranger, four):
    cancelled(four[0], 4)
    cancelled(four[1], 2)
    [other] = subscribed(stranger, 50, "reader2@example.com")
    cancelled(other, 3)
    closing.close_days(now=NOON)
    assert line(creator) == [0, 0, 25, 25, 50, 50, 25]


def test_a_reader_who_comes_back_or_pays_for_another_one_has_not_left(creator, four):
    cancelled(four[0], 5)
    with clock_at(NOON - days(3)):
        change(four[0], status="active")
    subscribed(creator, 40, "READER1@example.com")
    cancelled(four[1], 5)
    closing.close_days(now=NOON)
    assert line(creator) == [0, 25, 25, 0, 0, 0, 25]


def test_currencies_are_apart(creator, four):
    [euros] = subscribed(creator, 50, "reader0@example.com", currency="EUR")
    cancelled(euros, 4)
    closing.close_days(now=NOON)
    assert line(creator) == [0, 0, 0, 0, 0, 0, 25]
    assert line(creator, "EUR") == [0, 0, 100, 100, 100, 100, 25]


def test_who_left_30_days_ago_is_in_no_later_point(creator, four):
    cancelled(four[0], 34)
    closing.close_days(now=NOON)
    # Three paid from then on, so it is none of three.
    assert line(creator)[:3] == [25, 25, 0]


def test_there_is_no_point_while_no_reader_paid_30_days_before(creator):
    one, _ = subscribed(creator, 33, "a@example.com", "b@example.com")
    cancelled(one, 1)
    closing.close_days(now=NOON)
    assert line(creator) == [None, None, None, 0, 0, 50, 25]


def test_days_that_are_not_closed_yet_are_needed_only_30_days_later(creator, four):
    cancelled(four[0], 4)
    closing.close_days(now=NOON - days(32))
    assert line(creator) == []
    closing.close_days(now=NOON - days(30))
    assert line(creator) == [0, 0, 25, 25, 25, 25, 25]


def test_too_many_cancellations_have_no_line(creator, four, monkeypatch):
    monkeypatch.setattr(churn, "CANCELLED_MAX", 2)
    for one in four[:2]:
        cancelled(one, 4)
    closing.close_days(now=NOON)
    assert line(creator)[2] == 50
    cancelled(four[2], 3)
    assert line(creator) == []


def test_it_takes_three_queries(creator, four, django_assert_num_queries):
    cancelled(four[0], 4)
    closing.close_days(now=NOON)
    period = period_of(creator, "90d", at=NOON)
    with django_assert_num_queries(3):
        assert len(churn.by_day(creator, "USD", period, at_end=Churn(1, 4))) == 90
