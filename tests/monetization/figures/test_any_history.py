"""After any history, each figure is the plain sum: of the notes taken, of plain SQL, and what the API says.

The SQL here is written from the definitions of docs/monetization.md, one figure at a time, by the days of the
records and the names of the plans, and shares nothing with the verbs.
"""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from foundation.calendar import day_of, start_of
from monetization.days import closing
from monetization.figures import churn, series, stats, supporters
from monetization.figures.periods import CHOSEN, RANGES, before, between, period_of
from monetization.figures.stats import Figures
from monetization.models import ClosedDay
from tests.monetization.conftest import STATS, caller_with, key_of
from tests.monetization.histories import Life, lived
from tests.monetization.records import NOON, broken_records, clock_at, days
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

PERIODS = [("today", 1), ("7d", 7), ("30d", 30), ("90d", 90)]
CURRENCIES = ["EUR", "JPY", "USD"]
A_MOMENT = timedelta(microseconds=1)

# What a subscription was at a moment: its last event by then. Its factor is that of the plan's name.
STATES = """
WITH states AS (
    SELECT lower(subscription.subscriber_email) AS who, event.status,
           event.amount_cents * (array[52, 12, 4, 1, 0])[
               array_position(array['weekly', 'monthly', 'quarterly', 'annual', 'gold'], event.plan::text)
           ] AS yearly
      FROM monetization_subscriptionevent event
      JOIN monetization_subscription subscription ON subscription.id = event.subscription_id
     WHERE subscription.creator_id = %s AND subscription.currency = %s AND event.created_at <= %s
       AND NOT EXISTS (SELECT FROM monetization_subscriptionevent later
                        WHERE later.subscription_id = event.subscription_id
                          AND later.id > event.id AND later.created_at <= %s)
       AND event.status <> 'cancelled')
"""


def who_paid(creator, currency, moment):
    """The readers who paid at a moment, and what MRR and its part at risk then were."""
    values = (creator.pk, currency, moment, moment)
    paid = {who for (who,) in sql(f"{STATES} SELECT who FROM states", *values)}
    [(mrr, late)] = sql(
        f"""{STATES} SELECT coalesce(round(sum(yearly)::numeric / 12), 0),
                            coalesce(round(sum(yearly) FILTER (WHERE status = 'past_due')::numeric / 12), 0)
                       FROM states""",
        *values,
    )
    return paid, int(mrr), int(late)


def by_day(columns, table, creator, currency, period, moment="created_at", also="true"):
    """Plain sums of columns over the rows whose UTC day is one of the period's."""
    [row] = sql(
        f"""SELECT count(*), {", ".join(f"coalesce(sum({column}), 0)::bigint" for column in columns)}
              FROM {table}
             WHERE creator_id = %s AND currency = %s AND {also}
               AND ({moment} AT TIME ZONE 'UTC')::date BETWEEN %s AND %s""",
        creator.pk,
        currency,
        period.first_day,
        period.last_day,
    )
    return row


def plainly(creator, currency, period, now):
    """The figures by SQL, one at a time, without those that are of now alone."""
    end = min(now, period.until - A_MOMENT)
    count, gross, fee, net = by_day(
        ["gross_cents", "fee_cents", "net_cents"], "monetization_tip", creator, currency, period
    )
    refunds, back, returned = by_day(
        ["amount_cents", "fee_returned_cents"], "monetization_refund", creator, currency, period
    )
    booked, price = by_day(
        ["price_cents"],
        "monetization_sponsor",
        creator,
        currency,
        period,
        moment="active_from",
        also="cancelled_at IS NULL",
    )
    pays, mrr, _ = who_paid(creator, currency, end)
    paid, *_ = who_paid(creator, currency, period.since - A_MOMENT)
    a_month_ago, *_ = who_paid(creator, currency, end - days(30))
    return {
        "gross_cents": gross,
        "fee_cents": fee,
        "net_cents": net,
        "tips": count,
        "refunds": refunds,
        "refunded_cents": back,
        "fee_returned_cents": returned,
        "net_after_refunds_cents": net - back + returned,
        "earned_cents": net - back + returned + price,
        "sponsors_booked": booked,
        "sponsors_booked_cents": price,
        "mrr_cents": mrr,
        "paying_subscribers": len(pays),
        "new_subscribers": len(pays - paid),
        "left_subscribers": len(paid - pays),
        "churn": stats.Churn(left=len(a_month_ago - pays), of=len(a_month_ago)),
    }


def in_percent(left, of):
    """The part of a set in percent, with one decimal, rounded half up; None if there is no one in it."""
    if not of:
        return None
    return float((Decimal(100 * len(left)) / len(of)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def of_now(creator, currency, now):
    """The figures that are of now alone, by SQL."""
    *_, at_risk = who_paid(creator, currency, now)
    [(unknown,)] = sql(
        """SELECT count(*) FROM monetization_subscription
            WHERE creator_id = %s AND currency = %s AND status <> 'cancelled' AND plan = 'gold'""",
        creator.pk,
        currency,
    )
    [(active,)] = sql(
        """SELECT count(*) FROM monetization_sponsor
            WHERE creator_id = %s AND currency = %s AND cancelled_at IS NULL
              AND %s::timestamptz <@ tstzrange(active_from, active_until)""",
        creator.pk,
        currency,
        now,
    )
    return {
        "at_risk_cents": at_risk,
        "subscriptions_of_unknown_interval": unknown,
        "sponsors_active_now": active,
    }


def shown(figures, expected):
    return {name: getattr(figures, name) for name in expected}


def periods_of(creator, now):
    """Every range, and days in the past that a creator could choose."""
    chosen = between(day_of(now) - days(38), day_of(now) - days(9))
    return [*(period_of(creator, name, at=now) for name in RANGES), chosen]


def check_figures(creator, now):
    """Every figure of every range, and of the period before it, against SQL."""
    for period in periods_of(creator, now):
        found = stats.of_period(creator, period)
        earlier = before(period)
        found_before = stats.of_period(creator, earlier) if earlier else {}
        for currency in CURRENCIES:
            expected = plainly(creator, currency, period, now)
            if period.until > now:
                expected |= of_now(creator, currency, now)
            assert shown(found.get(currency, Figures()), expected) == expected
            if earlier:
                expected = plainly(creator, currency, earlier, now)
                assert shown(found_before.get(currency, Figures()), expected) == expected


def check_api(creator, now):
    """What the API says of its periods is what the verbs say of the ranges of the same name."""
    api = caller_with(key_of(creator, "read"))
    for name in ("7d", "30d", "90d"):
        answer = api.get(STATS, period=name)
        assert answer.status_code == 200
        currencies = answer.json()["data"]["currencies"]
        found = stats.of_period(creator, period_of(creator, name, at=now))
        assert set(currencies) == set(found)
        for currency, figures in currencies.items():
            churn = figures.pop("churn")
            assert shown(found[currency], figures) == figures
            assert shown(found[currency].churn, churn) == churn


def check_series(creator, now):
    """Each point against SQL of its days; all of them together against the figures."""
    for period in periods_of(creator, now):
        earlier = before(period)
        for currency, figures in stats.of_period(creator, period).items():
            points = series.tips_by_day(creator, currency, period)
            sums = ["tips", "gross_cents", "net_cents", "refunded_cents", "fee_returned_cents"]
            for column in [*sums, "net_after_refunds_cents"]:
                assert sum(getattr(point, column) for point in points) == getattr(figures, column)
            mrr = series.mrr_by_day(creator, currency, period)
            assert mrr[-1].mrr_cents == figures.mrr_cents
            assert [(point.day, point.last_day) for point in mrr] == [
                (point.day, point.last_day) for point in points
            ]
            booked = series.booked_by_day(creator, currency, period)
            assert (len(booked), sum(booked)) == (len(points), figures.sponsors_booked_cents)
            paying = series.payers_by_day(creator, currency, period, at_end=figures.paying_subscribers)
            assert len(paying) in (0, len(points))
            leaving = churn.by_day(creator, currency, period, at_end=figures.churn)
            assert len(leaving) in (0, len(points))
            assert not leaving or leaving[-1] == figures.churn.percent
            earlier_steps = series.steps_before(creator, currency, period)
            assert len(earlier_steps) == (len(points) if earlier else 0)
            if earlier:
                then = plainly(creator, currency, earlier, now)
                assert sum(step.gross_cents for step in earlier_steps) == then["gross_cents"]
                assert earlier_steps[-1].mrr_cents == then["mrr_cents"]
            if period.name in ("7d", CHOSEN):
                for at, point in enumerate(mrr):
                    end = min(now, start_of(point.last_day) + days(1) - A_MOMENT)
                    who, cents, _ = who_paid(creator, currency, end)
                    assert point.mrr_cents == cents
                    # An open day has the number of the last closed day, but the last point is of now.
                    is_closed = ClosedDay.objects.filter(day=point.day).exists()
                    assert not paying or paying[at] == len(who) or not is_closed
                    a_month_ago, *_ = who_paid(creator, currency, end - days(30))
                    assert not leaving or leaving[at] == in_percent(a_month_ago - who, a_month_ago)
                    a_period_ago = start_of(point.last_day) + days(1 - period.days) - A_MOMENT
                    assert earlier_steps[at].mrr_cents == who_paid(creator, currency, a_period_ago)[1]
                    on_the_day = between(point.day, point.day)
                    assert booked[at] == plainly(creator, currency, on_the_day, now)["sponsors_booked_cents"]


def check_supporters(creator, now):
    """Totals by reader, against the tips one by one. All addresses here are ASCII."""
    for name in ("30d", "all"):
        period = period_of(creator, name, at=now)
        for currency in CURRENCIES:
            totals: dict[str, tuple[int, int]] = {}
            for reader, gross, back in sql(
                """SELECT lower(email), gross_cents, refunded_cents FROM monetization_tip
                    WHERE creator_id = %s AND currency = %s
                      AND (created_at AT TIME ZONE 'UTC')::date BETWEEN %s AND %s""",
                creator.pk,
                currency,
                period.first_day,
                period.last_day,
            ):
                count, total = totals.get(reader, (0, 0))
                totals[reader] = count + 1, total + gross - back
            expected = sorted((kept for kept in totals.values() if kept[1]), key=lambda kept: -kept[1])
            found = supporters.top(creator, currency, period, limit=100)
            assert [each.total_cents for each in found] == [total for _, total in expected]
            assert sorted((each.tips, each.total_cents) for each in found) == sorted(expected)
            assert supporters.top(creator, currency, period, limit=2) == found[:2]


@pytest.mark.slow
@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    chance=st.randoms(use_true_random=False),
    gaps=st.lists(st.integers(60, 9000), max_size=60),
    rate=st.sampled_from([500, 360, 0]),
)
def test_every_figure_is_the_sum_by_plain_sql_and_what_the_api_says(chance, gaps, rate):
    closing.reopen(date.min)  # The examples share one database, and this one writes into the same days again.
    life = Life(chance, rate)
    assert len(list(lived(chance, [life], gaps, NOON))) == len(gaps)
    # With no day closed, with the first half of the days closed, and with all.
    for until in (None, NOON - timedelta(minutes=sum(gaps) // 2), NOON):
        if until:
            closing.close_days(now=until)
        with clock_at(NOON):
            check_figures(life.creator, NOON)
            check_api(life.creator, NOON)
            check_series(life.creator, NOON)
            check_supporters(life.creator, NOON)
        assert broken_records() == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_every_figure_is_the_sum_of_the_notes_all_along_the_way(seed):
    chance = Random(seed)  # noqa: S311 (a history, no secret)
    lives = [Life(chance, rate) for rate in (500, 360)]
    looks = 0
    gaps = [chance.randint(60, 2000) for _ in range(150)]
    for now in lived(chance, lives, gaps, NOON):
        if chance.random() < 0.06 or now >= NOON:
            looks += 1
            if looks % 2:
                closing.close_days(now=now)
            for life in lives:
                for period, length in PERIODS:
                    with clock_at(now):
                        found = stats.of_creator(life.creator, period=period).currencies
                    expected = life.figures(now, length)
                    assert {code: found.get(code, Figures()) for code in expected} == expected
    assert looks > 3
    assert broken_records() == []
    assert all(life.refunds and life.sponsors and life.subscriptions for life in lives)
    with clock_at(now):
        for life in lives:
            check_figures(life.creator, now)
            check_series(life.creator, now)
            assert day_of(now) == period_of(life.creator, "all", at=now).last_day
