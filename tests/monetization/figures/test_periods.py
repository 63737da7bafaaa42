"""Which days figures are of, how they stand to those before, and which currencies there are."""

from datetime import UTC, date, datetime, timedelta
from datetime import timezone as offset

import pytest

from foundation.calendar import add_months, last_day_of, written
from monetization import sponsors
from monetization.figures import stats, sums
from monetization.figures.periods import RANGES, before, between, period_of
from monetization.figures.stats import Figures
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip

pytestmark = pytest.mark.django_db

TODAY = date(2026, 6, 15)


def period(creator, name="30d", at=NOON):
    return period_of(creator, name, at=at)


# --- Days -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first_day", "label"),
    [
        ("7d", date(2026, 6, 9), "the last 7 days"),
        ("30d", date(2026, 5, 17), "the last 30 days"),
        ("90d", date(2026, 3, 18), "the last 90 days"),
        ("12m", date(2025, 6, 16), "the last 12 months"),
        ("all", TODAY, "all time"),
    ],
)
def test_a_range_ends_today_and_both_ends_are_included(creator, name, first_day, label):
    found = period(creator, name)
    assert (found.name, found.first_day, found.last_day, found.label) == (name, first_day, TODAY, label)
    assert found.since == datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    assert found.until == datetime(2026, 6, 16, tzinfo=UTC)
    assert found.until - found.since == days(found.days)


@pytest.mark.parametrize("name", ["", "30D", "1d", "today", "' OR 1=1", "\0"])
def test_a_name_that_is_none_is_the_30_days(creator, name):
    assert period(creator, name) == period(creator, "30d")


def test_the_day_is_utcs_wherever_the_clock_is_read(creator):
    in_tokyo = datetime(2026, 6, 16, 8, tzinfo=offset(timedelta(hours=9)))
    assert period(creator, "7d", in_tokyo).last_day == TODAY


@pytest.mark.parametrize(
    ("today", "first_day"),
    [(date(2028, 2, 29), date(2027, 3, 1)), (date(2027, 2, 28), date(2026, 3, 1))],
)
def test_twelve_months_are_a_year_to_the_day(creator, today, first_day):
    at = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert period(creator, "12m", at).first_day == first_day


def test_all_time_begins_with_the_first_record_of_any_kind(creator, stranger):
    with clock_at(NOON - days(400)):
        tip(stranger)
    with clock_at(NOON - days(3)):
        tip(creator)
    assert period(creator, "all").first_day == TODAY - days(3)
    with clock_at(NOON - days(9)):
        subscribe(creator)
    assert period(creator, "all").first_day == TODAY - days(9)
    gone = place(creator, starts=NOON - days(50), ends=NOON + days(50))
    assert period(creator, "all").first_day == TODAY - days(50)
    with clock_at(NOON):
        sponsors.cancel(creator=creator, sponsor_id=gone.pk)
    assert period(creator, "all").first_day == TODAY - days(9)


def test_what_is_yet_to_come_does_not_begin_all_time(creator):
    place(creator, starts=NOON + days(5))
    assert period(creator, "all").first_day == TODAY


@pytest.mark.parametrize("name", ["7d", "30d", "90d", "12m"])
def test_the_window_before_is_as_long_and_ends_the_day_before(creator, name):
    now = period(creator, name)
    then = before(now)
    assert then is not None
    assert (then.name, then.days, then.until) == (name, now.days, now.since)
    assert then.label == f"the {now.days} days before"


def test_before_all_time_there_is_nothing(creator):
    assert before(period(creator, "all")) is None


@pytest.mark.parametrize(
    ("first_day", "last_day", "label", "within", "earlier"),
    [
        (TODAY, TODAY, "15 Jun 2026", "on 15 Jun 2026", (TODAY - days(1), TODAY - days(1), "the day before")),
        (
            *(date(2026, 2, 27), date(2026, 3, 1), "27 Feb 2026 to 1 Mar 2026"),
            *("from 27 Feb 2026 to 1 Mar 2026", (date(2026, 2, 24), date(2026, 2, 26), "the 3 days before")),
        ),
    ],
)
def test_chosen_days_are_both_included(first_day, last_day, label, within, earlier):
    chosen = between(first_day, last_day)
    assert (chosen.label, chosen.within) == (label, within)
    found = before(chosen)
    assert found
    assert (found.first_day, found.last_day, found.label) == earlier
    assert found.until == chosen.since


def test_a_range_says_when_it_is(creator):
    assert period(creator).within == "in the last 30 days"
    assert period(creator, "all").within == "so far"


def test_a_period_that_ends_at_midnight_ends_the_day_before():
    midnight = datetime(2026, 6, 15, tzinfo=UTC)
    assert last_day_of(midnight) == date(2026, 6, 14)
    assert last_day_of(midnight + timedelta(seconds=1)) == TODAY


def test_months_are_added_over_the_year():
    assert [add_months(date(2026, 6, 1), months) for months in (-6, 0, 7)] == [
        date(2025, 12, 1),
        date(2026, 6, 1),
        date(2027, 1, 1),
    ]


def test_a_day_is_written_with_its_year_only_where_that_is_another():
    assert written(date(2026, 12, 31), today=TODAY) == "31 December"
    assert written(date(2027, 1, 1), today=TODAY) == "1 January 2027"


# --- Figures of a period ----------------------------------------------------------------------------


def figures(creator, name="7d", at=NOON, currency="USD", *, earlier=False):
    chosen = period(creator, name, at)
    with clock_at(at):
        shown = before(chosen) if earlier else chosen
        assert shown is not None
        found = stats.of_period(creator, shown)
    return found.get(currency, Figures())


def test_the_average_tip_is_rounded_half_up_and_none_where_there_is_none(creator):
    assert figures(creator).average_tip_cents is None
    with clock_at(NOON):
        for amount in (100, 101, 101, 100):
            tip(creator, amount)
    assert figures(creator).average_tip_cents == 101
    assert Figures(gross_cents=400, tips=3).average_tip_cents == 133


def test_who_came_and_who_left_make_the_difference(creator):
    with clock_at(NOON - days(20)):
        stays, leaves = subscribe(creator, "a@example.com"), subscribe(creator, "b@example.com")
    with clock_at(NOON - days(3)):
        subscribe(creator, "c@example.com")
        subscribe(creator, "A@example.com", plan="annual")
        change(leaves, status="cancelled")
        change(stays, status="past_due")
        goes_again = subscribe(creator, "d@example.com")
    with clock_at(NOON - days(1)):
        change(goes_again, status="cancelled")
    found, earlier = figures(creator), figures(creator, earlier=True)
    assert (earlier.paying_subscribers, found.paying_subscribers) == (2, 2)
    assert (found.new_subscribers, found.left_subscribers) == (1, 1)
    assert (figures(creator, "30d").new_subscribers, figures(creator, "30d").left_subscribers) == (2, 0)


def test_the_earlier_window_is_as_it_was_when_it_ended(creator):
    """MRR then, whatever the subscriptions have become; and nothing that is of now alone."""
    with clock_at(NOON - days(10)):
        one = subscribe(creator, amount_cents=1000)
        given = tip(creator, 900)
    with clock_at(NOON - days(2)):
        change(one, amount_cents=5000)
        refund(given, 300)
        change(one, status="past_due")
        place(creator, starts=NOON - days(1))
    found, earlier = figures(creator), figures(creator, earlier=True)
    assert (earlier.mrr_cents, earlier.at_risk_cents, earlier.sponsors_active_now) == (1000, 0, 0)
    assert (found.mrr_cents, found.at_risk_cents, found.sponsors_active_now) == (5000, 5000, 1)
    assert (earlier.gross_cents, earlier.refunds, found.refunds) == (900, 0, 1)


def test_a_window_ends_before_the_midnight_at_which_the_next_begins(creator):
    midnight = datetime(2026, 6, 9, tzinfo=UTC)
    with clock_at(midnight - timedelta(microseconds=1)):
        tip(creator, 100)
        subscribe(creator, "a@example.com")
    with clock_at(midnight):
        tip(creator, 500)
        subscribe(creator, "b@example.com")
    found, earlier = figures(creator), figures(creator, earlier=True)
    assert (earlier.gross_cents, found.gross_cents) == (100, 500)
    assert (earlier.paying_subscribers, found.paying_subscribers) == (1, 2)
    assert (earlier.new_subscribers, found.new_subscribers) == (1, 1)


# --- Currencies -------------------------------------------------------------------------------------


def test_the_currency_with_most_rows_comes_first_whatever_the_rows_are(creator, stranger):
    assert sums.currencies_of(creator) == []
    tip(stranger, currency="CHF")
    subscribe(creator, currency="EUR")
    place(creator, currency="EUR")
    tip(creator, currency="USD")
    assert sums.currencies_of(creator) == ["EUR", "USD"]
    for _ in range(2):
        tip(creator, currency="USD")
        tip(creator, currency="JPY")
    assert sums.currencies_of(creator) == ["USD", "EUR", "JPY"]


def test_every_range_has_its_words():
    assert RANGES == {
        "7d": "7 days",
        "30d": "30 days",
        "90d": "90 days",
        "12m": "12 months",
        "all": "all time",
    }
