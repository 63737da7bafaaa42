"""The figures of a creator, against plain sums over what the tests themselves wrote down."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from datetime import timezone as offset
from decimal import ROUND_HALF_UP, Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monetization.figures import stats
from monetization.figures.stats import Churn, Figures
from tests.monetization.conftest import SPONSORS, STATS, SUBSCRIPTIONS, TIPS
from tests.monetization.records import (
    NOON,
    change,
    clock_at,
    days,
    place,
    refund,
    subscribe,
    tip,
)

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2026, 6, 15, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
PERIODS = [("today", 1), ("7d", 7), ("30d", 30), ("90d", 90)]


def figures_of(creator, period="30d", at=NOON, currency="USD"):
    with clock_at(at):
        return stats.of_creator(creator, period=period).currencies.get(currency, Figures())


# --- The period -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "length"), PERIODS)
@pytest.mark.parametrize("now", [MIDNIGHT, NOON, MIDNIGHT + days(1) - A_MOMENT])
def test_a_period_begins_at_midnight_utc_and_includes_today(creator, period, length, now):
    since = MIDNIGHT - days(length - 1)
    with clock_at(since - A_MOMENT):
        before = tip(creator, 1000)
    with clock_at(since):
        tip(creator, 500)
        refund(before, 100)
    for starts in (since - A_MOMENT, since, MIDNIGHT + days(1) - A_MOMENT, MIDNIGHT + days(1)):
        place(creator, starts=starts, price_cents=10)
    found = figures_of(creator, period, now)
    assert (found.tips, found.gross_cents, found.refunded_cents) == (1, 500, 100)
    assert (found.sponsors_booked, found.sponsors_booked_cents) == (2, 20)
    with clock_at(now):
        stated = stats.of_creator(creator, period=period)
    assert (stated.since, stated.until, stated.period) == (since, now, period)


def test_a_day_is_utcs_wherever_the_clock_is_read(creator):
    with clock_at(MIDNIGHT - A_MOMENT):
        tip(creator)
    in_tokyo = (MIDNIGHT + timedelta(hours=1)).astimezone(offset(timedelta(hours=9)))
    assert figures_of(creator, "today", in_tokyo).tips == 0
    in_lima = (MIDNIGHT - A_MOMENT).astimezone(offset(timedelta(hours=-5)))
    assert figures_of(creator, "today", in_lima).tips == 1


def test_a_refund_counts_on_its_day_and_never_changes_the_tips(creator):
    with clock_at(NOON - days(10)):
        given = tip(creator, 1000)
    before = figures_of(creator, "30d")
    with clock_at(NOON):
        refund(given, 400)
    today, month = figures_of(creator, "today"), figures_of(creator, "30d")
    assert (today.tips, today.refunded_cents, today.fee_returned_cents) == (0, 400, 20)
    assert today.net_after_refunds_cents == -380
    assert (month.gross_cents, month.net_cents) == (before.gross_cents, before.net_cents) == (1000, 950)
    assert month.net_after_refunds_cents == 570


# --- Nothing added that does not belong together ----------------------------------------------------


def test_currencies_and_creators_are_never_added(creator, stranger):
    with clock_at(NOON):
        for code, amount in (("USD", 500), ("JPY", 700)):
            tip(creator, amount, currency=code)
            subscribe(creator, amount_cents=amount, currency=code)
        tip(stranger, 9999)
        subscribe(stranger)
        place(stranger, starts=NOON, price_cents=1)
        found = stats.of_creator(creator).currencies
    assert list(found) == ["JPY", "USD"]
    assert [figures.gross_cents for figures in found.values()] == [700, 500]
    assert [figures.mrr_cents for figures in found.values()] == [700, 500]
    assert [figures.sponsors_booked for figures in found.values()] == [0, 0]


def test_of_nothing_there_is_nothing(creator):
    assert stats.of_creator(creator).currencies == {}


def test_tips_and_sponsors_are_not_in_mrr(creator):
    with clock_at(NOON):
        tip(creator)
        place(creator, price_cents=100)
    assert figures_of(creator).mrr_cents == 0


# --- MRR --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yearly", "month"), [(0, 0), (5, 0), (6, 1), (17, 1), (18, 2), (12, 1), (60_000, 5000), (52 * 799, 3462)]
)
def test_a_month_is_a_twelfth_rounded_half_up(yearly, month):
    assert stats.mrr_of(yearly) == month


def test_mrr_is_rounded_once_over_all_of_a_currency(creator):
    """Five of 1.00 a year are 41.67 units a month: 42. Each rounded alone would make it 40."""
    for n in range(5):
        subscribe(creator, f"reader{n}@example.com", plan="annual", amount_cents=100)
    assert figures_of(creator).mrr_cents == 42


def test_past_due_is_in_mrr_and_at_risk_until_it_is_cancelled(creator):
    late, good = subscribe(creator), subscribe(creator, "other@example.com")
    change(late, status="past_due")
    assert (figures_of(creator).mrr_cents, figures_of(creator).at_risk_cents) == (1598, 799)
    change(late, status="cancelled")
    assert (figures_of(creator).mrr_cents, figures_of(creator).at_risk_cents) == (799, 0)
    change(good, status="cancelled")
    assert figures_of(creator).mrr_cents == 0


def test_an_unknown_interval_is_in_no_sum_and_counted_as_unknown(creator):
    gold = subscribe(creator, plan="gold")
    found = figures_of(creator)
    assert (found.mrr_cents, found.paying_subscribers, found.subscriptions_of_unknown_interval) == (0, 1, 1)
    change(gold, status="cancelled")
    assert figures_of(creator).subscriptions_of_unknown_interval == 0


def test_a_reader_with_two_subscriptions_is_one_subscriber(creator):
    subscribe(creator, "Reader@example.com")
    subscribe(creator, "reader@EXAMPLE.com")
    assert figures_of(creator).paying_subscribers == 1


# --- Churn ------------------------------------------------------------------------------------------

THEN = NOON - days(30)


def subscribed(creator, at, email="reader@example.com", **facts):
    with clock_at(at):
        return subscribe(creator, email, **facts)


def became(subscription, status, at):
    with clock_at(at):
        change(subscription, status=status)


def churn_of(creator, at=NOON):
    found = figures_of(creator, at=at).churn
    return found.left, found.of


def test_who_paid_30_days_ago_and_pays_no_longer_has_left(creator):
    for n in range(4):
        one = subscribed(creator, THEN - days(n), f"reader{n}@example.com")
    became(one, "cancelled", NOON - days(1))
    assert churn_of(creator) == (1, 4)
    assert figures_of(creator).churn.percent == 25.0


@pytest.mark.parametrize(
    ("joined", "counts"), [(THEN, True), (THEN + A_MOMENT, False), (THEN - A_MOMENT, True)]
)
def test_who_joined_within_the_30_days_is_not_among_them(creator, joined, counts):
    one = subscribed(creator, joined)
    became(one, "cancelled", NOON)
    assert churn_of(creator) == ((1, 1) if counts else (0, 0))


@pytest.mark.parametrize(("left", "counts"), [(THEN, False), (THEN + A_MOMENT, True)])
def test_who_had_left_before_is_not_among_them(creator, left, counts):
    became(subscribed(creator, THEN - days(9)), "cancelled", left)
    assert churn_of(creator) == ((1, 1) if counts else (0, 0))


def test_who_left_and_came_back_has_not_left(creator):
    one = subscribed(creator, THEN - days(1))
    became(one, "cancelled", NOON - days(20))
    became(one, "active", NOON - days(5))
    assert churn_of(creator) == (0, 1)


def test_who_left_and_came_back_with_another_subscription_has_not_left(creator):
    became(subscribed(creator, THEN - days(1)), "cancelled", NOON - days(20))
    subscribed(creator, NOON - days(5), "READER@example.com", plan="annual")
    assert churn_of(creator) == (0, 1)


def test_who_cancels_one_of_two_has_not_left(creator):
    one, other = (subscribed(creator, THEN - days(1)) for _ in range(2))
    became(one, "cancelled", NOON - days(20))
    assert churn_of(creator) == (0, 1)
    became(other, "cancelled", NOON - days(10))
    assert churn_of(creator) == (1, 1)


def test_who_is_late_has_not_left_and_who_was_late_then_paid(creator):
    one = subscribed(creator, THEN - days(9))
    became(one, "past_due", THEN - days(1))
    assert churn_of(creator) == (0, 1)
    became(one, "cancelled", NOON - days(1))
    assert churn_of(creator) == (1, 1)


def test_a_change_of_plan_is_not_leaving(creator):
    one = subscribed(creator, THEN - days(1))
    with clock_at(NOON - days(1)):
        change(one, plan="gold", amount_cents=0)
    assert churn_of(creator) == (0, 1)


def test_churn_is_each_currencys_and_each_creators_own(creator, stranger):
    for code in ("USD", "EUR"):
        one = subscribed(creator, THEN - days(1), currency=code)
    became(one, "cancelled", NOON)
    became(subscribed(stranger, THEN - days(1)), "cancelled", NOON)
    assert churn_of(creator) == (0, 1)
    assert figures_of(creator, currency="EUR").churn == Churn(left=1, of=1)


def test_the_period_asked_for_does_not_move_churn(creator):
    became(subscribed(creator, THEN - days(1)), "cancelled", NOON)
    assert {figures_of(creator, period).churn for period, _ in PERIODS} == {Churn(left=1, of=1)}


def test_without_paying_readers_there_is_no_percentage(creator):
    subscribed(creator, NOON)
    assert figures_of(creator).churn == Churn(left=0, of=0)
    assert figures_of(creator).churn.percent is None


def test_a_percentage_has_one_decimal_rounded_half_up():
    for of in range(1, 130):
        for left in range(of + 1):
            exact = (Decimal(100 * left) / of).quantize(Decimal("0.1"), ROUND_HALF_UP)
            assert Decimal(str(Churn(left=left, of=of).percent)) == exact
    assert Churn(left=3, of=120).percent == 2.5
    assert Churn(left=1, of=1).percent == 100.0


# --- As cheap for many as for few -------------------------------------------------------------------


def lots(creator, times):
    """Some of everything, so many times over."""
    with clock_at(NOON - days(40)):
        for n in range(times):
            given = tip(creator, email=f"tipper{n}@example.com", currency=("USD", "EUR")[n % 2])
            one = subscribe(creator, f"reader{n}@example.com")
            place(creator, starts=NOON + days(n))
            if n % 3 == 0:
                refund(given, 100)
                change(one, status=("past_due", "cancelled")[n % 2])


def queries_of(call):
    call()  # A key's use is noted once a minute.
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def test_stats_take_the_same_few_queries_for_20_times_the_rows(creator, stranger):
    lots(creator, 2)
    lots(stranger, 40)
    few, many = (queries_of(lambda who=who: figures_of(who)) for who in (creator, stranger))
    assert few == many == 4


@pytest.mark.parametrize("path", [SPONSORS, SUBSCRIPTIONS, TIPS, STATS])
def test_lists_and_stats_take_the_same_queries_for_20_times_the_rows(
    creator, stranger, api, strangers_api, path
):
    lots(creator, 2)
    lots(stranger, 40)
    few, many = (queries_of(lambda caller=caller: caller.get(path)) for caller in (api, strangers_api))
    assert few == many
    pages = queries_of(lambda: strangers_api.get(path, limit=5)) if path not in (STATS,) else many
    assert pages == many


def test_figures_say_every_figure(creator):
    """A figure that is added must be added to the sums above as well."""
    assert set(asdict(Figures())) == {
        "gross_cents",
        "fee_cents",
        "net_cents",
        "tips",
        "refunds",
        "refunded_cents",
        "fee_returned_cents",
        "sponsors_booked",
        "sponsors_booked_cents",
        "sponsors_active_now",
        "mrr_cents",
        "at_risk_cents",
        "paying_subscribers",
        "new_subscribers",
        "left_subscribers",
        "subscriptions_of_unknown_interval",
        "churn",
    }
