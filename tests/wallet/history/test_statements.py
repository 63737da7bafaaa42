"""Filtering a history, page by page and as a whole."""

from datetime import date

import pytest

from foundation.errors import InvalidCursor
from tests.wallet.past import charged, gave_back, wrote
from wallet.history import statements
from wallet.history.statements import Choice

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries():
    """Six entries of three days, oldest first."""
    charge = None
    written = [
        wrote(50, "2026-03-01 00:00:00", kind="grant", product="blog"),
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


def test_an_entry_is_of_the_day_its_own_time_says_whatever_its_neighbours_say(db):
    wrote(1, "2026-03-31 23:59:58")
    early = wrote(2, "2026-04-01 00:00:01")
    late = wrote(4, "2026-03-31 23:59:59")
    wrote(8, "2026-04-01 00:00:02")
    march = statements.page(user_id="usr_1", choice=Choice(last_day=date(2026, 3, 31)))
    april = statements.page(user_id="usr_1", choice=Choice(first_day=date(2026, 4, 1)))
    assert [entry.credits for entry in march.entries] == [late.credits, 1]
    assert [entry.credits for entry in april.entries] == [8, early.credits]


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
