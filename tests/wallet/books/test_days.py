"""The ledger by day: what is added up once, what is read live, and that the two are one."""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from tests.backoffice.plans import captured, rows_read
from tests.crowd import begin
from tests.wallet.entries import sql
from tests.wallet.past import at, charged, gave_back, wrote
from tests.wallet.resting import rest
from wallet.books import days, laws
from wallet.models import ClosedDay, DayTotal

pytestmark = pytest.mark.django_db

LAW = next(iter(laws.LAWS_OF_DAYS))
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 20)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)

# The sum itself, in another way: entry by entry, over the text of the day.
BY_HAND = """
SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), product, kind, sum(credits)::int, count(*)
  FROM wallet_entry
 WHERE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') BETWEEN %s AND %s
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def told(first=FIRST, last=LAST, product=""):
    found = days.flows(first, last, product)
    return sorted((str(each.day), each.product, each.kind, each.credits, each.entries) for each in found)


def by_hand(first=FIRST, last=LAST):
    return sorted(sql(BY_HAND, str(first), str(last)))


def a_history(seed: int, entries: int = 60) -> None:
    """Moves of several products and kinds over twenty days, some of them at the very edges of one."""
    chance = Random(seed)  # noqa: S311 (a history, and no secret)
    wrote(1000, "2026-03-01 00:00:00", product="wallet")
    moments = sorted(
        at("2026-03-01 00:00:00")
        + timedelta(days=chance.randrange(20), seconds=chance.choice((0, 1, 43_200, 86_399)))
        for _ in range(entries)
    )
    for moment in moments:
        product = chance.choice(("blog", "mail", "reach"))
        if chance.random() < 0.7:
            charge = charged(chance.randrange(1, 4), moment, product=product)
            if chance.random() < 0.2:
                gave_back(charge, 1, moment)
        else:
            wrote(chance.choice((-1, 2)), moment, product=chance.choice(("", "blog")))


@pytest.fixture
def three_days():
    """Something on 1 March, nothing on the 2nd, something on the 3rd; all of it long over."""
    wrote(50, "2026-03-01 10:00:00")
    charged(3, "2026-03-01 23:59:59")
    charged(4, "2026-03-03 00:00:00")


# --- Closing ----------------------------------------------------------------------------------------


def test_each_finished_day_from_the_first_entry_on_is_closed_those_without_entries_too(three_days):
    closed = days.close_days(now=at("2026-03-04 12:00:00"))
    assert [(str(each.day), each.entries) for each in closed] == [
        ("2026-03-01", 2),
        ("2026-03-02", 0),
        ("2026-03-03", 1),
    ]
    assert list(ClosedDay.objects.order_by("day").values_list("day", "entries")) == [
        (each.day, each.entries) for each in closed
    ]
    totals = DayTotal.objects.order_by("day", "kind").values_list(
        "day_id", "product", "kind", "credits", "entries"
    )
    assert list(totals) == [
        (date(2026, 3, 1), "", "adjustment", 50, 1),
        (date(2026, 3, 1), "mail", "deduct", -3, 1),
        (date(2026, 3, 3), "mail", "deduct", -4, 1),
    ]


def test_a_second_run_finds_nothing_to_do(three_days):
    days.close_days(now=NOW)
    before = list(DayTotal.objects.order_by("pk").values())
    assert days.close_days(now=NOW) == []
    assert list(DayTotal.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2026-03-03 23:59:59", "2026-03-02"),
        ("2026-03-04 00:59:59", "2026-03-02"),
        ("2026-03-04 01:00:00", "2026-03-03"),
    ],
)
def test_a_day_is_closed_when_it_has_been_over_for_an_hour(three_days, now, last):
    closed = days.close_days(now=at(now))
    assert str(closed[-1].day) == last


def test_where_there_is_no_entry_there_is_nothing_to_close():
    assert days.close_days(now=NOW) == []
    assert days.flows(FIRST, LAST) == []
    assert days.products() == []


def test_a_day_between_closed_ones_is_closed_too(three_days):
    days.close_days(now=NOW)
    ClosedDay.objects.filter(day=date(2026, 3, 2)).delete()
    assert [str(each.day) for each in days.close_days(now=NOW)] == ["2026-03-02"]


@pytest.mark.django_db(transaction=True)
def test_two_that_close_at_once_close_each_day_once():
    with transaction.atomic():
        wrote(50, "2026-03-01 10:00:00")
        for day in range(1, 15):
            charged(1, f"2026-03-{day:02} 12:00:00")
    start = threading.Barrier(2)

    def close():
        start.wait(timeout=120)
        return [each.day for each in days.close_days(now=NOW)]

    one, other = (begin(close) for _ in range(2))
    by_both = one.result(timeout=120) + other.result(timeout=120)
    assert sorted(by_both) == [date(2026, 3, day) for day in range(1, 20)]
    assert told(last=date(2026, 3, 19)) == by_hand(last=date(2026, 3, 19))


# --- Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("closed", ["none", "some", "all", "with gaps"])
def test_flows_are_what_the_entries_add_up_to_whatever_is_closed(seed, closed):
    a_history(seed)
    if closed != "none":
        days.close_days(now=at("2026-03-11 05:00:00") if closed == "some" else at("2026-03-25 12:00:00"))
    if closed == "with gaps":
        ClosedDay.objects.filter(day__in=[date(2026, 3, 3), date(2026, 3, 9)]).delete()
    assert told() == by_hand()
    inside = {"first": date(2026, 3, 5), "last": date(2026, 3, 12)}
    assert told(**inside) == by_hand(**inside)
    assert told(product="blog") == [row for row in by_hand() if row[1] == "blog"]


def test_what_is_written_today_is_in_the_flows_at_once(three_days):
    days.close_days(now=NOW)
    charged(2, NOW)
    assert told()[-1] == ("2026-03-20", "mail", "deduct", -2, 1)


@pytest.mark.parametrize("seed", range(2))
def test_adjustments_are_told_apart_by_their_sign(seed):
    a_history(seed)
    [[added, taken]] = sql(
        "SELECT sum(greatest(credits, 0))::int, sum(least(credits, 0))::int FROM wallet_entry"
        " WHERE kind = 'adjustment'"
    )
    assert days.adjusted(FIRST, LAST) == (added, taken)
    assert days.adjusted(LAST, LAST, "reach") == (0, 0)


def test_products_are_those_that_entries_name():
    a_history(1)
    wrote(5, "2026-03-04 12:00:00", product="")
    assert days.products() == ["blog", "mail", "reach", "wallet"]


MANY = """
INSERT INTO wallet_entry (id, wallet_id, sequence, kind, credits, balance_after, feature, count, product,
       idempotency_key, stripe_session_id, actor, reason, effective_at, created_at)
SELECT 'txn_many_' || n, 'usr_many', n, 'grant', 1, n, '', NULL, 'p' || n %% 3, '', '', 'sql', '',
       moment, moment
  FROM generate_series(1, %(entries)s) AS n,
       LATERAL (SELECT %(last)s - interval '1 hour' * (%(entries)s - n) AS moment) AS written
"""


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.mark.single_server("it reads plans of one server, after an ANALYZE in the transaction of the test")
@pytest.mark.breaks_the_books  # The entries are grants without lots.
@pytest.mark.parametrize("days_open", [2, 400])
@pytest.mark.parametrize("product", ["", "p1"])
def test_no_figure_reads_the_ledger_from_end_to_end(days_open, product):
    """20,000 entries over two years; also where nothing was closed for over a year."""
    rest()  # Each entry by itself would take minutes.
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO wallet_wallet VALUES ('usr_many', 20000, 20000, now())")
        cursor.execute(MANY, {"entries": 20_000, "last": NOW})
    days.close_days(now=NOW - timedelta(days=days_open - 1))
    sql("ANALYZE wallet_entry, wallet_closedday, wallet_daytotal")
    with captured() as queries:
        days.flows(LAST - timedelta(days=364), LAST, product)
        days.adjusted(LAST - timedelta(days=364), LAST, product)
        days.products()
        days.open_days(now=NOW)
    for query in queries:
        [[explained]] = sql(f"EXPLAIN (FORMAT JSON) {query.replace('%', '%%')}")
        plan = (explained if isinstance(explained, list) else json.loads(explained))[0]["Plan"]
        whole = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
        assert "wallet_entry" not in {node.get("Relation Name") for node in whole}, query


@pytest.mark.single_server("it reads plans of one server, after an ANALYZE in the transaction of the test")
@pytest.mark.breaks_the_books  # The entries are grants without lots.
def test_days_before_the_first_entry_are_no_reason_to_read_the_closed_days():
    """As in the first month of a ledger: the days of the month before its first entry are never closed."""
    rest()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO wallet_wallet VALUES ('usr_many', 20000, 20000, now())")
        cursor.execute(MANY, {"entries": 20_000, "last": NOW})
    days.close_days(now=NOW)
    for index in ("written", "keys"):  # As if the table had never had the entries of other tests.
        sql(f"REINDEX INDEX wallet_entry_{index}")
    sql("ANALYZE wallet_entry, wallet_closedday, wallet_daytotal")
    with captured() as queries:
        flows = days.flows(LAST - timedelta(days=1_000), LAST)
    assert sum(flow.entries for flow in flows) == 20_000
    ((_, rows),) = rows_read(queries)
    assert rows < 5_000


# --- The law ----------------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (
            "UPDATE wallet_daytotal SET credits = -9 WHERE kind = 'deduct' AND day_id = '2026-03-01'",
            [("2026-03-01 mail deduct", "-9 credits in 1 entries kept, -3 in 1 there")],
        ),
        (
            "UPDATE wallet_daytotal SET entries = 2 WHERE kind = 'deduct' AND day_id = '2026-03-01'",
            [("2026-03-01 mail deduct", "-3 credits in 2 entries kept, -3 in 1 there")],
        ),
        (
            "DELETE FROM wallet_daytotal WHERE day_id = '2026-03-03'",
            [("2026-03-03 mail deduct", "0 credits in 0 entries kept, -4 in 1 there")],
        ),
        (
            "INSERT INTO wallet_daytotal (day_id, product, kind, credits, entries)"
            " VALUES ('2026-03-02', '', 'grant', 7, 1)",
            [("2026-03-02 grant", "7 credits in 1 entries kept, 0 in 0 there")],
        ),
        (
            "UPDATE wallet_closedday SET entries = 5 WHERE day = '2026-03-02'",
            [("2026-03-02", "5 entries counted, 0 there")],
        ),
    ],
)
def test_totals_that_are_not_what_the_entries_add_up_to(three_days, change, broken):
    days.close_days(now=NOW)
    assert laws.violations() == []
    sql(change)
    assert [(v.law, v.subject, v.detail) for v in laws.violations()] == [
        (LAW, subject, detail) for subject, detail in broken
    ]


@pytest.mark.breaks_the_books
def test_an_entry_that_came_into_a_closed_day_breaks_the_law_and_again_heals_it(three_days):
    wrote(9, "2026-03-01 10:00:00", user_id="usr_2")
    days.close_days(now=NOW)
    charged(5, "2026-03-02 12:00:00", user_id="usr_2")
    assert {violation.subject for violation in laws.violations()} == {
        "2026-03-02",
        "2026-03-02 mail deduct",
    }
    out = StringIO()
    call_command("close_days", "--again", "2026-03-02", stdout=out)
    assert "forgotten, from 2026-03-02 on." in out.getvalue()
    assert laws.violations() == []
    assert told(last=date(2026, 3, 3)) == by_hand(last=date(2026, 3, 3))


def test_an_entry_of_a_day_that_is_open_breaks_nothing(three_days):
    days.close_days(now=at("2026-03-03 12:00:00"))
    charged(5, "2026-03-03 13:00:00")
    assert laws.violations() == []


# --- The command ------------------------------------------------------------------------------------


def close_days(*options):
    out = StringIO()
    call_command("close_days", *options, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_did_and_is_safe_to_run_again(three_days):
    said = close_days()
    assert said.startswith(f"{ClosedDay.objects.count()} days added up, 2026-03-01 to ")
    assert ": 3 entries.\n2026-03 closed.\n2026-04 closed.\n" in said
    assert close_days() == "No finished day was open.\n"


def test_the_command_says_one_day_in_words(three_days):
    close_days()
    newest = ClosedDay.objects.latest("day").day
    ClosedDay.objects.filter(day=newest).delete()
    assert close_days() == f"1 day added up, {newest}: 0 entries.\n"


def test_again_needs_a_date(three_days):
    with pytest.raises(CommandError, match="is not a date such as 2026-11-01"):
        call_command("close_days", "--again", "yesterday")
