"""Filtering a history, page by page and as a whole."""

from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest

from foundation.errors import InvalidCursor
from tests.wallet.past import charged, gave_back, hosts_gave_the_times, wrote
from wallet.books import days
from wallet.history import spending, statements
from wallet.history.statements import Choice

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries():
    """Six entries of three days, oldest first."""
    charge = None
    written = [
        wrote(50, "2026-03-01 00:00:00", product="blog"),
        charge := charged(3, "2026-03-01 23:59:59.999999"),
        charged(2, "2026-03-02 00:00:00", feature="blog.article.generate", product="blog"),
        gave_back(charge, 1, "2026-03-02 12:00:00"),
        charged(4, "2026-03-04 08:00:00"),
        wrote(-1, "2026-03-04 09:00:00"),
    ]
    wrote(7, "2026-03-02 12:00:00", user_id="usr_2")
    return written


CHOICES = [
    (Choice(), [5, 4, 3, 2, 1, 0]),
    (Choice(kinds=("deduct",)), [4, 2, 1]),
    (Choice(kinds=("deduct", "refund")), [4, 3, 2, 1]),
    (Choice(kinds=("capture",)), []),
    (Choice(product="mail"), [4, 3, 1]),
    (Choice(feature="blog.article.generate"), [2]),
    (Choice(feature="blog"), []),
    (Choice(first_day=date(2026, 3, 2)), [5, 4, 3, 2]),
    (Choice(last_day=date(2026, 3, 1)), [1, 0]),
    (Choice(first_day=date(2026, 3, 2), last_day=date(2026, 3, 2)), [3, 2]),
    (Choice(first_day=date(2026, 3, 3), last_day=date(2026, 3, 3)), []),
    (Choice(first_day=date(2026, 3, 4), last_day=date(2026, 3, 1)), []),
    (Choice(first_day=date.min, last_day=date.max), [5, 4, 3, 2, 1, 0]),
    (Choice(last_day=date.min), []),
    (Choice(first_day=date.max), []),
    (Choice(kinds=("deduct",), product="mail", first_day=date(2026, 3, 2)), [4]),
]


@pytest.mark.parametrize(("choice", "places"), CHOICES)
def test_a_page_holds_what_was_chosen_newest_first(entries, choice, places):
    page = statements.page(user_id="usr_1", choice=choice)
    assert page.entries == [entries[place] for place in places]
    assert page.next_cursor is None


@pytest.mark.parametrize(("choice", "places"), CHOICES)
def test_a_history_is_the_same_as_its_pages(entries, choice, places):
    assert list(statements.history(user_id="usr_1", choice=choice)) == [entries[place] for place in places]


@pytest.mark.parametrize(("choice", "places"), CHOICES)
def test_turning_the_pages_leaves_nothing_out(entries, choice, places):
    seen, cursor = [], None
    while True:
        page = statements.page(user_id="usr_1", limit=1, cursor=cursor, choice=choice)
        seen += page.entries
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [entries[place] for place in places]


def test_a_cursor_of_another_choice_is_a_place_in_the_same_history(entries):
    cursor = statements.page(user_id="usr_1", limit=2).next_cursor
    page = statements.page(user_id="usr_1", cursor=cursor, choice=Choice(kinds=("deduct",)))
    assert page.entries == [entries[2], entries[1]]


def test_a_cursor_of_another_wallet_is_refused_whatever_is_chosen(entries):
    wrote(1, "2026-03-05 00:00:00", user_id="usr_2")
    cursor = statements.page(user_id="usr_2", limit=1).next_cursor
    assert cursor
    with pytest.raises(InvalidCursor):
        statements.page(user_id="usr_1", cursor=cursor, choice=Choice(product="mail"))


def test_an_unknown_user_has_no_history(db):
    assert statements.page(user_id="usr_0", choice=Choice(first_day=date(2026, 3, 1))).entries == []
    assert list(statements.history(user_id="usr_0")) == []


@pytest.mark.parametrize("release", ["this", "before"])
def test_two_hosts_with_different_clocks_have_one_answer_to_which_month(db, release):
    """The statement, the chart, the file and the spending cut at the same place."""
    with nullcontext() if release == "this" else hosts_gave_the_times():
        wrote(50, "2026-02-28 23:59:56")
        charged(2, "2026-03-01 00:00:01")
        charged(4, "2026-02-28 23:59:58")  # From the host whose clock is slow.
        charged(8, "2026-03-01 00:00:02")
    cut = {"this": (50, [50]), "before": (44, [-4, -2, 50])}
    closing, credits = cut[release]
    first_day, last_day = date(2026, 2, 1), date(2026, 2, 28)
    february = Choice(first_day=first_day, last_day=last_day)
    statement = statements.month(user_id="usr_1", first_day=first_day)
    assert statement.closing == closing
    assert [entry.credits for entry in statement.entries] == credits[::-1]
    assert [entry.credits for entry in statements.history(user_id="usr_1", choice=february)] == credits
    assert [entry.credits for entry in statements.page(user_id="usr_1", choice=february).entries] == credits
    [day] = statements.closing_balances(user_id="usr_1", first_day=last_day, last_day=last_day)
    assert day.balance == closing
    spent = spending.by_feature(user_id="usr_1", first_day=first_day, last_day=last_day)
    assert sum(row.credits for row in spent) == 50 - closing
    march = statements.month(user_id="usr_1", first_day=date(2026, 3, 1))
    assert (march.opening, march.closing) == (closing, 36)
    if release == "this":
        days.close_days(now=datetime(2026, 4, 1, 12, tzinfo=UTC))
        flows = days.flows(first_day, last_day)
        assert sum(flow.credits for flow in flows) == sum(credits)


def test_a_long_history_is_read_in_parts(monkeypatch, entries):
    for size in (1, 2, 3, 4, 5, 6, 7):
        monkeypatch.setattr(statements, "PLACES_AT_ONCE", size)
        assert list(statements.history(user_id="usr_1")) == entries[::-1]
        mail = list(statements.history(user_id="usr_1", choice=Choice(product="mail")))
        assert mail == [entries[4], entries[3], entries[1]]


def test_what_is_written_while_a_history_is_read_does_not_come_into_it(monkeypatch, entries):
    monkeypatch.setattr(statements, "PLACES_AT_ONCE", 2)
    history = statements.history(user_id="usr_1")
    read = [next(history)]
    wrote(1, "2026-03-05 00:00:00")
    read += history
    assert read == entries[::-1]


def test_reading_a_history_takes_a_query_for_each_part_and_one_for_its_ends(
    monkeypatch, entries, django_assert_num_queries
):
    monkeypatch.setattr(statements, "PLACES_AT_ONCE", 3)
    with django_assert_num_queries(3):
        assert len(list(statements.history(user_id="usr_1"))) == 6


def test_a_page_without_days_is_one_query(entries, django_assert_num_queries):
    with django_assert_num_queries(1):
        statements.page(user_id="usr_1", choice=Choice(kinds=("deduct",), product="mail"))
