"""The points of the charts: every step is there, and each is the sum of its days."""

from datetime import UTC, date, datetime

import pytest

from monetization import sponsors
from monetization.figures import series
from monetization.figures.periods import Period, period_of, step_of
from monetization.figures.series import IncomeMonth, TipDay
from tests.monetization.records import NOON, change, clock_at, days, place, refund, subscribe, tip

pytestmark = pytest.mark.django_db

TODAY = date(2026, 6, 15)


def week(creator):
    return period_of(creator, "7d", at=NOON)


def of_days(first_day, last_day=TODAY):
    return Period("all", first_day, last_day, "all time")


# --- Steps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "step", "points"),
    [
        (1, "day", 1),
        (92, "day", 92),
        (93, "week", 15),
        (366, "week", 54),
        (731, "week", 106),
        (732, "month", 25),
        (7306, "month", 241),
        (7307, "year", 21),
    ],
)
def test_a_longer_window_has_longer_steps(creator, length, step, points):
    period = of_days(TODAY - days(length - 1))
    assert step_of(period) == step
    found = series.tips_by_day(creator, "USD", period)
    assert len(found) == len(series.mrr_by_day(creator, "USD", period)) == points
    assert found[0].day == period.first_day
    assert found[-1].last_day == period.last_day
    assert [each.last_day + days(1) for each in found[:-1]] == [each.day for each in found[1:]]


def test_weeks_begin_on_monday_and_are_cut_to_the_period(creator):
    found = series.tips_by_day(creator, "USD", of_days(date(2026, 1, 1)))
    assert (found[0].day, found[0].last_day) == (date(2026, 1, 1), date(2026, 1, 4))
    assert (found[1].day, found[1].last_day) == (date(2026, 1, 5), date(2026, 1, 11))


def test_what_happened_in_a_week_before_the_window_began_is_not_in_it(creator):
    with clock_at(datetime(2025, 12, 31, 23, tzinfo=UTC)):
        tip(creator, 900)
    with clock_at(datetime(2026, 1, 1, tzinfo=UTC)):
        tip(creator, 500)
    assert series.tips_by_day(creator, "USD", of_days(date(2026, 1, 1)))[0].gross_cents == 500


@pytest.mark.parametrize("first_day", [date(1, 1, 1), date(1900, 2, 28)])
def test_the_oldest_days_are_no_trouble(creator, first_day):
    found = series.tips_by_day(creator, "USD", of_days(first_day))
    assert found[0].day == first_day
    assert len(found) == TODAY.year - first_day.year + 1


# --- Tips -------------------------------------------------------------------------------------------


def test_days_without_a_tip_are_zeros(creator):
    found = series.tips_by_day(creator, "USD", week(creator))
    assert found == [TipDay(TODAY - days(6 - n), TODAY - days(6 - n)) for n in range(7)]


def test_tips_count_on_their_day_and_refunds_on_theirs(creator, stranger):
    with clock_at(NOON - days(3)):
        given = tip(creator, 1000)
        tip(creator, 500, currency="JPY")
        tip(stranger, 777)
    with clock_at(NOON):
        refund(given, 400)
    found = {each.day: each for each in series.tips_by_day(creator, "USD", week(creator))}
    then, now = found[TODAY - days(3)], found[TODAY]
    assert (then.tips, then.gross_cents, then.net_cents, then.refunded_cents) == (1, 1000, 950, 0)
    assert (now.tips, now.gross_cents, now.refunded_cents, now.fee_returned_cents) == (0, 0, 400, 20)
    assert (then.net_after_refunds_cents, now.net_after_refunds_cents) == (950, -380)
    assert sum(each.gross_cents for each in found.values()) == 1000


# --- MRR --------------------------------------------------------------------------------------------


def test_mrr_is_a_line_of_steps_that_begins_with_what_was_before(creator, stranger):
    with clock_at(NOON - days(40)):
        one = subscribe(creator, amount_cents=1000)
        subscribe(stranger, amount_cents=9999)
        subscribe(creator, amount_cents=9999, currency="JPY")
    with clock_at(NOON - days(4)):
        subscribe(creator, "b@example.com", amount_cents=500)
    with clock_at(NOON - days(2)):
        change(one, status="past_due")
    with clock_at(NOON - days(1)):
        change(one, status="cancelled")
    with clock_at(NOON):
        change(one, status="active")
    found = series.mrr_by_day(creator, "USD", week(creator))
    assert [each.mrr_cents for each in found] == [1000, 1000, 1500, 1500, 1500, 500, 1500]


def test_mrr_is_rounded_once_at_each_point(creator):
    for n in range(5):
        with clock_at(NOON - days(6 - n)):
            subscribe(creator, f"reader{n}@example.com", plan="annual", amount_cents=100)
    found = series.mrr_by_day(creator, "USD", week(creator))
    assert [each.mrr_cents for each in found] == [8, 17, 25, 33, 42, 42, 42]


def test_a_change_recorded_late_moves_mrr_on_the_day_it_was_recorded(creator):
    with clock_at(NOON - days(30)):
        one = subscribe(creator)
    with clock_at(NOON - days(1)):
        change(one, status="cancelled", occurred_at=NOON - days(5))
    found = series.mrr_by_day(creator, "USD", week(creator))
    assert [each.mrr_cents for each in found] == [799] * 5 + [0, 0]


# --- Months -----------------------------------------------------------------------------------------


def test_income_is_the_tips_net_of_refunds_and_what_sponsors_booked(creator, stranger):
    with clock_at(datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)):
        given = tip(creator, 1000)
        tip(stranger, 5000)
        subscribe(creator, amount_cents=5000)
    with clock_at(datetime(2026, 5, 1, tzinfo=UTC)):
        refund(given, 1000)
    place(creator, starts=datetime(2026, 6, 30, tzinfo=UTC), price_cents=29900)
    place(creator, starts=datetime(2026, 6, 1, tzinfo=UTC), price_cents=None)
    place(creator, starts=datetime(2026, 7, 1, tzinfo=UTC), price_cents=100)
    gone = place(creator, starts=NOON, ends=NOON + days(900), price_cents=1)
    sponsors.cancel(creator=creator, sponsor_id=gone.pk)
    found = series.income_by_month(creator, "USD", at=NOON)
    assert len(found) == 12
    assert found[0] == IncomeMonth(date(2025, 7, 1))
    assert found[-3:] == [
        IncomeMonth(date(2026, 4, 1), 950, 0),
        IncomeMonth(date(2026, 5, 1), -950, 0),
        IncomeMonth(date(2026, 6, 1), 0, 29900),
    ]
    assert series.income_by_month(creator, "EUR", at=NOON, months=2) == [
        IncomeMonth(date(2026, 5, 1)),
        IncomeMonth(date(2026, 6, 1)),
    ]


# --- As cheap for many as for few -------------------------------------------------------------------


def test_each_series_is_one_or_two_queries(creator, django_assert_num_queries):
    tip(creator)
    period = week(creator)
    with django_assert_num_queries(1):
        series.tips_by_day(creator, "USD", period)
    with django_assert_num_queries(1):
        series.mrr_by_day(creator, "USD", period)
    with django_assert_num_queries(2):
        series.income_by_month(creator, "USD", at=NOON)
