"""Monthly statements: which months there are, and a month whose figures tie."""

import re
from datetime import UTC, datetime

import pytest

from tests.factories import UserFactory
from tests.html import browser_of, table, words
from tests.wallet.entries import move, sql
from wallet.history import statements
from wallet.models import Entry
from wallet.pages import chart

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana():
    """A user with entries in September and October 2026, none in August, one in July."""
    user = UserFactory.create(misar_id="usr_dana", name="Dana <Demo>")
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at) VALUES (%s, 0, 0, now())",
        user.pk,
    )
    for day, credits in (
        (_day(7, 31), 50),
        (_day(9, 1), -5),
        (_day(9, 30), -6),
        (_day(10, 1), 30),
        (_day(10, 9), -4),
    ):
        move(user.pk, credits, created_at=day, effective_at=day, reason=f"Moved {credits}")
    return user


def _day(month, day):
    return datetime(2026, month, day, 12, tzinfo=UTC)


def figures(answer):
    """Opening, added, taken, closing."""
    shown = words(answer)
    names = ("Opening balance", "Added", "Taken", "Closing balance")
    return [shown.partition(f"{name} ")[2].split()[0] for name in names]


def test_the_list_has_every_month_between_the_first_entry_and_the_last(dana):
    html = browser_of(dana).get("/wallet/statements").content.decode()
    months = [
        month
        for month in ("2026-10", "2026-09", "2026-08", "2026-07", "2026-06", "2026-11")
        if f"/wallet/statements/{month}" in html
    ]
    assert months == ["2026-10", "2026-09", "2026-08", "2026-07"]
    assert html.index("October 2026") < html.index("July 2026")


def test_without_entries_the_list_says_when_the_first_comes():
    assert "The first one appears with your first credits." in words(browser_of().get("/wallet/statements"))


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        ("2026-07", ["0", "+50", "0", "50"]),
        ("2026-08", ["50", "0", "0", "50"]),
        ("2026-09", ["50", "0", "−11", "39"]),
        ("2026-10", ["39", "+30", "−4", "65"]),
    ],
)
def test_opening_and_moves_come_to_the_closing(dana, month, expected):
    assert figures(browser_of(dana).get(f"/wallet/statements/{month}")) == expected


def test_it_lists_every_entry_oldest_first(dana):
    rows = table(browser_of(dana).get("/wallet/statements/2026-09"), "lines")
    assert [(row[2], row[3], row[4]) for row in rows] == [
        ("1 Sep, 12:00", "−5", "45"),
        ("30 Sep, 12:00", "−6", "39"),
    ]


@pytest.mark.parametrize(
    ("month", "around"),
    [
        ("2026-06", [("next", "July 2026")]),
        ("2026-07", [("next", "August 2026")]),
        ("2026-08", [("prev", "July 2026"), ("next", "September 2026")]),
        ("2026-10", [("prev", "September 2026")]),
        ("2026-11", [("prev", "October 2026")]),
    ],
)
def test_the_months_around_it_are_one_step_away(dana, month, around):
    html = browser_of(dana).get(f"/wallet/statements/{month}").content.decode()
    assert re.findall(r'<a href="[^"]*" rel="(prev|next)">(?:Previous|Next): (.*?)</a>', html) == around


def test_figures_have_their_unit(dana):
    shown = words(browser_of(dana).get("/wallet/statements/2026-09"))
    assert "Opening balance 50 credits Added 0 credits" in shown


def test_it_names_its_owner_and_its_days(dana):
    shown = words(browser_of(dana).get("/wallet/statements/2026-09"))
    assert "Statement for September 2026" in shown
    assert "Dana <Demo>, Misar ID usr_dana" in shown
    assert "1 September to 30 September 2026, days in UTC" in shown


def test_a_month_without_entries_says_so(dana):
    assert "No entries in this month." in words(browser_of(dana).get("/wallet/statements/2026-08"))


def test_the_running_month_says_that_it_is_not_over(dana):
    shown = words(browser_of(dana).get(f"/wallet/statements/{chart.today():%Y-%m}"))
    assert "the month is not over, so figures may still change" in shown


def test_a_month_with_very_many_entries_has_a_line_for_each_day():
    user = UserFactory.create()
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at) VALUES (%s, 0, 0, now())",
        user.pk,
    )
    for number in range(statements.ENTRIES_SHOWN_MAX + 1):
        move(user.pk, 2 if number % 3 else -1 if number else 1, created_at=_day(9, 1 + number % 30 // 15))
    answer = browser_of(user).get("/wallet/statements/2026-09")
    assert "This month has 301 entries" in words(answer)
    assert [row[0] for row in table(answer, "lines")] == ["1 Sep", "2 Sep"]


def test_the_largest_list_of_entries_stays_small():
    user = UserFactory.create()
    sql(
        "INSERT INTO wallet_wallet (user_id, balance, entries_count, created_at) VALUES (%s, 0, 0, now())",
        user.pk,
    )
    for _ in range(statements.ENTRIES_SHOWN_MAX):
        move(user.pk, 2, created_at=_day(9, 2), product="p" * 60)
    answer = browser_of(user).get("/wallet/statements/2026-09")
    assert len(table(answer, "lines")) == Entry.objects.count() == statements.ENTRIES_SHOWN_MAX
    assert len(answer.content) < 150 * 1024


@pytest.mark.parametrize(
    "month",
    [
        "2999-01",
        "2026-13",
        "2026-00",
        "2026-1",
        "26-01",
        "1999-12",
        "0000-01",
        "2026-10-01",
        "october",
        "２０２６-10",
        "x" * 300,
    ],
)
def test_a_month_that_is_none_or_has_not_begun_is_not_found(dana, month):
    assert browser_of(dana).get(f"/wallet/statements/{month}").status_code == 404


def test_a_user_sees_nothing_of_another_user(dana):
    assert figures(browser_of().get("/wallet/statements/2026-10")) == ["0", "0", "0", "0"]
