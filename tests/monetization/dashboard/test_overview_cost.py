"""The figures of the overview ask as often for 2,000 tips as for 20, and read no stranger's rows."""

import json
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monetization.days import closing
from monetization.figures import attention, changes, churn, series, stats, sums, supporters, timeline
from monetization.figures.periods import before, period_of
from monetization.figures.stats import Churn
from tests.monetization.records import NOON, clock_at
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

TIPS = """
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, stripe_payment_id, created_at)
SELECT 'tip_' || %(creator)s || n, %(creator)s, 500, 25, 475, 500, 'free', 'USD',
       CASE WHEN n %% 10 = 0 THEN 100 ELSE 0 END, CASE WHEN n %% 10 = 0 THEN 5 ELSE 0 END,
       'r' || n %% 50 || '@example.com', 'r' || n %% 50 || '@example.com', 'Reader', '',
       CASE WHEN n %% 2 = 0 THEN 'pi_' || n END, %(noon)s - interval '365 days' * n / %(rows)s
  FROM generate_series(1, %(rows)s) AS n
"""
REFUNDS = """
INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents, fee_returned_cents, currency, key,
       actor, reason, created_at)
SELECT 'rfd_' || id, id, creator_id, 100, 5, 'USD', 'form-1', 'user:staff:1', '', created_at
  FROM monetization_tip WHERE creator_id = %(creator)s AND refunded_cents > 0
"""
SUBSCRIPTIONS = """
INSERT INTO monetization_subscription (id, creator_id, subscriber_email, reader, plan, interval,
       amount_cents, currency, yearly_cents, status, created_at)
SELECT 'sub_' || %(creator)s || n, %(creator)s, 'r' || n || '@example.com', 'r' || n || '@example.com',
       'monthly', 'month', 799, 'USD', 9588, 'active', %(noon)s - interval '365 days' * n / %(rows)s
  FROM generate_series(1, %(rows)s) AS n
"""
EVENTS = """
INSERT INTO monetization_subscriptionevent (subscription_id, creator_id, kind, status, plan, amount_cents,
       currency, yearly_cents_delta, occurred_at, created_at)
SELECT id, creator_id, 'created', 'active', plan, amount_cents, currency, 9588, created_at, created_at
  FROM monetization_subscription WHERE creator_id = %(creator)s
"""
SPONSORS = """
INSERT INTO monetization_sponsor (id, creator_id, sponsor_name, logo_url, target_url, position, active_from,
       active_until, price_cents, currency, created_at)
SELECT 'spon_' || %(creator)s || n, %(creator)s, 'Acme', 'https://a.example', 'https://a.example', 'header',
       %(noon)s + interval '1 day' * (n - %(rows)s), %(noon)s + interval '1 day' * (n - %(rows)s + 2),
       100, 'USD', %(noon)s
  FROM generate_series(1, %(rows)s) AS n
"""


def fill(creator, rows):
    """So many tips over the last year, and as many subscriptions, a tenth as many refunds and placements."""
    values = {"creator": creator.pk, "rows": rows, "noon": NOON}
    with connection.cursor() as cursor:
        for statement in (TIPS, REFUNDS, SUBSCRIPTIONS, EVENTS):
            cursor.execute(statement, values)
        cursor.execute(SPONSORS, values | {"rows": max(rows // 10, 1)})


def analyze():
    for table in ("tip", "refund", "subscription", "subscriptionevent", "sponsor", "daytotal", "closedday"):
        sql(f"ANALYZE monetization_{table}")


def everything(creator, name):
    """All that the overview asks for."""
    period = period_of(creator, name, at=NOON)
    for currency in sums.currencies_of(creator):
        series.tips_by_day(creator, currency, period)
        series.mrr_by_day(creator, currency, period)
        series.steps_before(creator, currency, period)
        series.booked_by_day(creator, currency, period)
        series.payers_by_day(creator, currency, period, at_end=0)
        churn.by_day(creator, currency, period, at_end=Churn())
        series.income_by_month(creator, currency, at=NOON, months=24)
        supporters.top(creator, currency, period)
        changes.recent_changes(creator, currency)
    stats.of_period(creator, period)
    if earlier := before(period):
        stats.of_period(creator, earlier)
    attention.lines(creator, at=NOON)
    attention.summary(creator, at=NOON)
    timeline.six_weeks(creator, at=NOON)


def asked_by(call: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured, clock_at(NOON):
        call()
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("name", ["7d", "30d", "90d", "12m", "all"])
def test_the_overview_asks_as_often_for_2000_tips_as_for_20(creator, stranger, name):
    fill(creator, 20)
    fill(stranger, 2000)
    few, many = (asked_by(partial(everything, who, name)) for who in (creator, stranger))
    assert len(few) == len(many) <= 30


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def rows_read(query):
    """Of each of monetization's tables, how many rows one run of a query took up, also those thrown away."""
    [[plan]] = sql(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {query.replace('%', '%%')}")
    [explained] = plan if isinstance(plan, list) else json.loads(plan)
    found: dict[str, int] = {}
    for node in nodes(explained["Plan"]):
        if table := node.get("Relation Name"):
            thrown_away = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read = node["Actual Loops"] * (node["Actual Rows"] + thrown_away)
            found[table] = found.get(table, 0) + read
    return found


@pytest.mark.parametrize("name", ["30d", "all"])
def test_a_creators_figures_read_no_row_of_another(creator, stranger, name):
    """A creator with 20 tips, beside one with 5,000: each query takes up a few of their own rows."""
    fill(creator, 20)
    fill(stranger, 5000)
    analyze()
    for closed in (False, True):
        if closed:
            closing.close_days(now=NOON)
            analyze()
        for query in asked_by(lambda: everything(creator, name)):
            for table, count in rows_read(query).items():
                # PostgreSQL reads a table of so few pages whole.
                if table not in ("monetization_daytotal", "monetization_closedday"):
                    assert count <= 20 * 5, f"{count} rows of {table}: {query}"


def test_the_sums_of_30_days_read_30_days(creator):
    """Of 5,000 tips over a year: by the index on creator and time, not all that the creator ever had."""
    fill(creator, 5000)
    analyze()
    period = period_of(creator, "30d", at=NOON)
    queries = asked_by(lambda: stats.of_period(creator, period))
    queries += asked_by(lambda: series.tips_by_day(creator, "USD", period))
    queries += asked_by(lambda: supporters.top(creator, "USD", period))
    looked_at = [rows_read(query) for query in queries]
    tips = [found["monetization_tip"] for found in looked_at if "monetization_tip" in found]
    assert len(tips) == 3
    assert max(tips) < 5000 * 30 / 365 * 2 + 20


def test_the_figures_of_closed_days_read_no_record(creator):
    """Of 5,000 tips and 5,000 subscriptions of a year, only those of the open days, and who may have left."""
    fill(creator, 5000)
    closing.close_days(now=NOON)
    analyze()
    year = period_of(creator, "12m", at=NOON)
    earlier = before(year)
    assert earlier

    def read():
        sums.currencies_of(creator)
        stats.of_period(creator, year)
        stats.of_period(creator, earlier)
        series.tips_by_day(creator, "USD", year)
        series.mrr_by_day(creator, "USD", year)
        series.steps_before(creator, "USD", year)
        series.payers_by_day(creator, "USD", year, at_end=0)
        churn.by_day(creator, "USD", year, at_end=Churn())
        series.income_by_month(creator, "USD", at=NOON, months=24)
        attention.summary(creator, at=NOON)

    for query in asked_by(read):
        found = rows_read(query)
        a_day = 5000 // 365 + 1
        assert found.get("monetization_tip", 0) <= a_day
        assert found.get("monetization_subscription", 0) + found.get("monetization_subscriptionevent", 0) <= (
            10 * a_day
        ), query


def test_the_sums_of_tips_go_by_the_index(creator, stranger):
    fill(creator, 2000)
    fill(stranger, 2000)
    analyze()
    period = period_of(creator, "7d", at=NOON)
    sums = [
        query for query in asked_by(lambda: stats.of_period(creator, period)) if "monetization_tip" in query
    ]
    [[plan]] = sql(f"EXPLAIN (FORMAT JSON) {sums[0]}")
    [explained] = plan if isinstance(plan, list) else json.loads(plan)
    indexes = {node.get("Index Name") for node in nodes(explained["Plan"])}
    assert "monetization_tip_newest" in indexes
