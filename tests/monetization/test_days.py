"""Finished days are added up once: which days, by whom, and what the law of the totals finds."""

import threading
from datetime import date
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from monetization import laws
from monetization.days import closing
from monetization.days.models import ClosedDay, DayTotal
from monetization.figures import stats
from monetization.privacy import erasure
from tests.monetization.records import NOON, change, clock_at, days, refund, subscribe, tip
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db

TOTALS = "The totals of a creator's closed day are what the records add up to"


@pytest.fixture
def records(creator):
    """Two days before NOON: two tips and a subscription. A day later: a refund, a second reader, one left."""
    with clock_at(NOON - days(2)):
        given = tip(creator, 1000)
        tip(creator, 200, currency="EUR")
        first = subscribe(creator)
    with clock_at(NOON - days(1)):
        refund(given, 100)
        subscribe(creator, "other@example.com", currency="EUR")
        change(first, status="cancelled")


def closed():
    return [str(day) for day in ClosedDay.objects.order_by("day").values_list("day", flat=True)]


def figures(creator, period="30d"):
    with clock_at(NOON):
        return stats.of_creator(creator, period=period).currencies


def test_a_day_is_closed_70_minutes_after_its_end(records):
    midnight = NOON.replace(hour=0)
    assert closing.close_days(now=midnight + days(70 / 1440) - days(1)) != []
    assert closed() == ["2026-06-13"]
    assert closing.close_days(now=midnight + days(69 / 1440)) == []
    assert [str(each.day) for each in closing.close_days(now=midnight + days(70 / 1440))] == ["2026-06-14"]
    assert closing.close_days(now=NOON) == []


def test_without_records_no_day_is_closed(db):
    assert closing.close_days() == []


def test_a_day_without_records_is_closed_too(records):
    closing.close_days(now=NOON + days(3))
    assert closed() == ["2026-06-13", "2026-06-14", "2026-06-15", "2026-06-16", "2026-06-17"]
    assert set(DayTotal.objects.values_list("day", flat=True)) == {date(2026, 6, 13), date(2026, 6, 14)}


def test_what_a_day_adds_up_to(records, creator):
    closing.close_days(now=NOON)
    names = ("tips", "gross_cents", "refunds", "refunded_cents", "subscriptions", "events", "payers_delta")
    rows = DayTotal.objects.order_by("day", "currency").values_list("day__day", "currency", *names)
    assert list(rows) == [
        (13, "", 0, 0, 0, 0, 0, 0, 1),
        (13, "EUR", 1, 200, 0, 0, 0, 0, 0),
        (13, "USD", 1, 1000, 0, 0, 1, 1, 1),
        # Of all currencies together, one reader came and one left.
        (14, "EUR", 0, 0, 0, 0, 1, 1, 1),
        (14, "USD", 0, 0, 1, 100, 0, 1, -1),
    ]


def test_the_figures_are_the_same_with_closed_days(records, creator):
    before = [figures(creator, period) for period in stats.PERIODS]
    closing.close_days(now=NOON)
    assert [figures(creator, period) for period in stats.PERIODS] == before


def test_totals_are_read_and_not_the_records(records, creator):
    closing.close_days(now=NOON)
    DayTotal.objects.filter(tips=1, currency="USD").update(gross_cents=777)
    assert figures(creator)["USD"].gross_cents == 777
    closing.reopen(date(2026, 6, 13))
    assert figures(creator)["USD"].gross_cents == 1000


def test_reopened_days_are_closed_again(records):
    closing.close_days(now=NOON)
    before = list(DayTotal.objects.order_by("currency", "day").values())
    assert closing.reopen(date(2026, 6, 14)) == 1
    assert closed() == ["2026-06-13"]
    closing.close_days(now=NOON)
    after = list(DayTotal.objects.order_by("currency", "day").values())
    assert [row | {"id": 0} for row in after] == [row | {"id": 0} for row in before]


def test_an_erasure_changes_no_total(records, creator):
    closing.close_days(now=NOON)
    before = figures(creator)
    erasure.erase("reader@example.com", actor="operator")
    assert figures(creator) == before
    assert list(laws.find_violations()) == []


@pytest.mark.django_db(transaction=True)
def test_two_processes_close_each_day_once(records):
    numbers, start = [], threading.Barrier(3)

    def close():
        start.wait(60)
        numbers.append(len(closing.close_days(now=NOON)))
        connection.close()

    threads = [threading.Thread(target=close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(numbers) == 2
    assert closed() == ["2026-06-13", "2026-06-14"]
    assert list(laws.find_violations()) == []


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("bend", "subjects"),
    [
        *(
            (
                f"UPDATE monetization_daytotal SET {name} = {name} + 1 WHERE currency = 'EUR' AND tips = 1",
                ["usr_creator EUR 2026-06-13"],
            )
            for name in closing.NUMBERS
            if name != "tips"
        ),
        ("DELETE FROM monetization_daytotal WHERE currency = ''", ["usr_creator 2026-06-13"]),
        (
            "UPDATE monetization_daytotal SET creator_id = 'usr_other' WHERE currency = ''",
            ["usr_creator 2026-06-13", "usr_other 2026-06-13"],
        ),
        (
            "DELETE FROM monetization_closedday WHERE day = '2026-06-14'",
            ["usr_creator EUR 2026-06-14", "usr_creator USD 2026-06-14"],
        ),
        (
            "UPDATE monetization_tip SET created_at = '2026-05-13T12:00Z' WHERE currency = 'EUR'",
            ["usr_creator EUR 2026-05-13", "usr_creator EUR 2026-06-13"],
        ),
    ],
)
def test_totals_that_the_records_do_not_add_up_to_are_named(records, bend, subjects):
    closing.close_days(now=NOON)
    assert list(laws.find_violations()) == []
    sql("SET LOCAL session_replication_role = replica")
    sql(bend)
    assert [(each.law, each.subject) for each in laws.find_violations()] == [
        (TOTALS, subject) for subject in subjects
    ]


def run(*options):
    out = StringIO()
    call_command("close_creators_days", *options, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_did(records):
    assert run().endswith(f"added up, 2026-06-13 to {ClosedDay.objects.latest('day').day}.\n")
    assert run() == "No finished day was open.\n"
    newest = ClosedDay.objects.latest("day").day
    assert run("--again", str(newest)) == (f"1 day forgotten, from {newest} on.\n1 day added up, {newest}.\n")
