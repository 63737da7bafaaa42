"""Figures of days and months add up to the balance, whatever the clocks of the hosts say."""

from collections import Counter
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from operator import attrgetter

import hypothesis.strategies as st
import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings

from tests.wallet.past import at, charged, gave_back, hosts_gave_the_times, took_back, topped_up, wrote
from wallet.books import places
from wallet.books.funds import available_of
from wallet.history import spending, statements
from wallet.history.statements import Choice, DayBalance, DayLine, KindTotal
from wallet.models import Entry

pytestmark = pytest.mark.django_db

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


def balances(first_day, last_day, user_id="usr_1"):
    found = statements.closing_balances(user_id=user_id, first_day=first_day, last_day=last_day)
    return [(day.day, day.balance) for day in found]


# --- Days -------------------------------------------------------------------------------------------


def test_each_day_closes_with_what_its_last_entry_left():
    wrote(50, "2026-03-02 00:00:00")
    charged(3, "2026-03-02 23:59:59.999999")
    charged(4, "2026-03-05 00:00:00")
    assert [balance for _, balance in balances(date(2026, 3, 1), date(2026, 3, 6))] == [0, 47, 47, 47, 43, 43]


def test_a_day_to_come_holds_what_there_is():
    wrote(50, "2026-03-02 00:00:00")
    assert balances(date(9999, 12, 30), date(9999, 12, 31)) == [
        (date(9999, 12, 30), 50),
        (date(9999, 12, 31), 50),
    ]


def test_an_unknown_user_has_no_credits():
    assert statements.closing_balances(user_id="usr_0", first_day=MARCH, last_day=MARCH) == [
        DayBalance(MARCH, 0)
    ]


def test_a_debt_is_shown_as_one():
    topup = topped_up(25, "2026-03-01 10:00:00")
    charged(15, "2026-03-01 10:30:00")
    took_back(topup, 25, "2026-03-01 11:00:00")
    assert balances(MARCH, MARCH) == [(MARCH, -15)]


@pytest.mark.parametrize("days", [1, 31, 366])
def test_any_number_of_days_is_one_query(django_assert_num_queries, days):
    wrote(50, "2026-03-02 00:00:00")
    with django_assert_num_queries(1):
        assert len(balances(MARCH, MARCH + timedelta(days=days - 1))) == days


# --- Months -----------------------------------------------------------------------------------------


def test_every_month_between_the_first_entry_and_the_last_has_a_statement():
    wrote(50, "2025-11-30 23:59:59")
    charged(1, "2026-02-01 00:00:00")
    assert statements.months("usr_1") == [
        date(2026, 2, 1),
        date(2026, 1, 1),
        date(2025, 12, 1),
        date(2025, 11, 1),
    ]


def test_an_unknown_user_has_no_statement():
    assert statements.months("usr_0") == []


def test_an_old_first_entry_that_counts_for_the_month_before_has_that_month():
    with hosts_gave_the_times():
        wrote(50, "2026-04-01 00:00:01")
        charged(1, "2026-03-31 23:59:59")
    assert statements.months("usr_1") == [MARCH]
    charged(2, "2026-04-01 00:00:02")
    assert statements.months("usr_1") == [APRIL, MARCH]
    assert statements.month(user_id="usr_1", first_day=MARCH).closing == 49
    assert statements.month(user_id="usr_1", first_day=APRIL).opening == 49


def test_a_statement_says_what_was_there_what_came_what_went_and_what_was_left():
    topup = topped_up(60, "2026-02-28 12:00:00")
    charged(10, "2026-02-28 13:00:00")
    charge = charged(10, "2026-03-02 08:00:00")
    gave_back(charge, 4, "2026-03-02 09:00:00")
    took_back(topup, 60, "2026-03-31 23:59:59")
    charged_later = wrote(20, "2026-04-01 00:00:00")
    march = statements.month(user_id="usr_1", first_day=MARCH)
    assert (march.opening, march.added, march.taken, march.closing) == (50, 4, 70, -16)
    assert (march.first_day, march.last_day) == (MARCH, date(2026, 3, 31))
    assert march.by_kind == [
        KindTotal(Entry.Kind.DEDUCT, 1, -10),
        KindTotal(Entry.Kind.REFUND, 1, 4),
        KindTotal(Entry.Kind.CLAWBACK, 1, -60),
    ]
    assert march.days == [
        DayLine(date(2026, 3, 2), 4, 10, 44),
        DayLine(date(2026, 3, 31), 0, 60, -16),
    ]
    assert [entry.credits for entry in march.entries] == [-10, 4, -60]
    april = statements.month(user_id="usr_1", first_day=APRIL)
    assert (april.opening, april.entries, april.closing) == (-16, (charged_later,), 4)


def test_a_month_without_entries_has_a_statement_too():
    wrote(50, "2026-02-28 12:00:00")
    march = statements.month(user_id="usr_1", first_day=MARCH)
    assert (march.opening, march.added, march.taken, march.closing) == (50, 0, 0, 50)
    assert (march.entries_count, march.entries, march.days, march.by_kind) == (0, (), [], [])


def test_a_long_month_has_lines_for_its_days_alone(monkeypatch):
    monkeypatch.setattr(statements, "ENTRIES_SHOWN_MAX", 2)
    wrote(50, "2026-03-01 12:00:00")
    charged(1, "2026-03-02 12:00:00")
    assert len(statements.month(user_id="usr_1", first_day=MARCH).entries) == 2
    charged(1, "2026-03-02 13:00:00")
    march = statements.month(user_id="usr_1", first_day=MARCH)
    assert (march.entries, march.entries_count) == ((), 3)
    assert march.days == [DayLine(MARCH, 50, 0, 50), DayLine(date(2026, 3, 2), 0, 2, 48)]


@pytest.mark.parametrize("month", [date(1, 1, 1), date(1969, 12, 1), date(9999, 12, 1)])
def test_a_month_at_the_end_of_time_is_no_trouble(month):
    wrote(50, "2026-03-01 12:00:00")
    statement = statements.month(user_id="usr_1", first_day=month)
    assert statement.entries == ()
    assert statement.opening == statement.closing == (50 if month.year == 9999 else 0)


def test_a_statement_is_three_queries(django_assert_num_queries):
    wrote(50, "2026-03-01 12:00:00")
    with django_assert_num_queries(3):
        statements.month(user_id="usr_1", first_day=MARCH)


# --- Generated histories ----------------------------------------------------------------------------

# What happens, how long after the last, and by how much the clock of the host that writes is off.
GAPS = st.one_of(
    st.sampled_from(["midnight", "month"]),
    st.floats(0, 90).map(lambda seconds: timedelta(seconds=seconds)),
    st.timedeltas(timedelta(0), timedelta(days=40)),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["topup", "adjustment", "adjustment", "deduct", "deduct", "refund", "clawback"]),
        st.integers(1, 30),
        GAPS,
        st.floats(-150, 150),
    ),
    min_size=1,
    max_size=25,
)


def later(moment, gap):
    """The moment after a gap; or just before the next midnight, or the last one of the month."""
    if gap == "month":
        return (moment.replace(day=28) + timedelta(days=4)).replace(day=1, hour=0, minute=0) - EVE
    if gap == "midnight":
        return max(moment, moment.replace(hour=0, minute=0) + timedelta(days=1) - EVE)
    return moment + gap


EVE = timedelta(seconds=30)


def live(user_id, steps):
    """Write a history; its entries, oldest first."""
    moment, written, balance = at("2026-01-15 12:00:00"), [], 0
    left = {}  # Charge: credits left to give back.
    paid = {}  # Top-up: credits left to take back.
    for kind, credits, gap, seconds_off in steps:
        moment = max(moment, later(moment, gap))
        when = moment + timedelta(seconds=seconds_off)
        if kind == "deduct" and credits <= balance:
            feature = ("mail.send", "blog.article.generate")[credits % 2]
            written.append(charged(credits, when, feature=feature, user_id=user_id))
            left[written[-1]] = credits
        elif kind == "refund" and left:
            charge = max(left, key=lambda each: each.sequence)
            back = min(credits, left.pop(charge))
            written.append(gave_back(charge, back, when))
        elif kind == "adjustment":
            written.append(wrote(credits, when, user_id=user_id, kind=kind))
        elif kind == "topup":
            written.append(topped_up(credits, when, user_id=user_id))
            paid[written[-1]] = credits
        elif kind == "clawback" and paid:
            topup = max(paid, key=lambda each: each.sequence)
            written.append(took_back(topup, min(credits, paid.pop(topup)), when))
        balance = written[-1].balance_after if written else 0
    return written


def cut_before(written, moment):
    """How many entries lie before a moment, by the definition: up to the last that was written before it."""
    return max((entry.sequence for entry in written if entry.created_at < moment), default=0)


def midnight(day):
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)


def following(month):
    return (month + timedelta(days=31)).replace(day=1)


def check_months(user_id: str, written: list[Entry]) -> None:
    months = statements.months(user_id)[::-1]
    assert all(following(month) == after for month, after in pairwise(months))
    entries: list[Entry] = []
    balance = 0
    for month in months:
        statement = statements.month(user_id=user_id, first_day=month)
        assert statement.opening == balance
        assert statement.opening + sum(entry.credits for entry in statement.entries) == statement.closing
        assert statement.opening + statement.added - statement.taken == statement.closing
        assert statement.entries_count == len(statement.entries)
        counted = Counter(entry.kind for entry in statement.entries)
        assert {total.kind: total.entries for total in statement.by_kind} == counted
        assert sum(total.credits for total in statement.by_kind) == statement.closing - statement.opening
        for line in statement.days:
            assert balance + line.added - line.taken == line.closing
            balance = line.closing
        assert balance == statement.closing
        entries += statement.entries
        assert len(entries) == cut_before(written, midnight(following(month)))
    assert entries == written
    assert balance == available_of(user_id)


def check_days(user_id, written):
    first = min(entry.created_at for entry in written).date() - timedelta(days=2)
    last = min(first + timedelta(days=400), max(entry.created_at for entry in written).date())
    held = {0: 0} | {entry.sequence: entry.balance_after for entry in written}
    for day, balance in balances(first, last, user_id):
        assert balance == held[cut_before(written, midnight(day) + timedelta(days=1))]


def check_choices(user_id, written, first, last):
    choice = Choice(first_day=first, last_day=last)
    after, until = (
        cut_before(written, midnight(first)),
        cut_before(written, midnight(last) + timedelta(days=1)),
    )
    expected = [entry for entry in written[::-1] if after < entry.sequence <= until]
    assert statements.page(user_id=user_id, limit=100, choice=choice).entries == expected
    assert list(statements.history(user_id=user_id, choice=choice)) == expected


def check_spending(user_id, written, first, last):
    after = cut_before(written, midnight(first))
    until = cut_before(written, midnight(last) + timedelta(days=1))
    units: Counter[str] = Counter()
    credits: Counter[str] = Counter()
    feature_of: dict[str, str] = {}
    for entry in written:
        if entry.kind == "deduct" and after < entry.sequence <= until:
            feature_of[entry.pk] = entry.feature
            units[entry.feature] += entry.count
            credits[entry.feature] += entry.charged
        elif entry.reverses_id in feature_of:
            credits[feature_of[entry.reverses_id]] -= entry.credits
    rows = spending.by_feature(user_id=user_id, first_day=first, last_day=last)
    assert {row.feature: (row.units, row.credits) for row in rows} == {
        feature: (units[feature], amount) for feature, amount in credits.items() if amount
    }
    assert sum(row.share_percent for row in rows) == (100 if rows else 0)


@settings(
    max_examples=120,
    phases=(Phase.generate, Phase.shrink),
    derandomize=True,  # The same histories each time: a failure comes from a change.
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=STEPS, places=st.tuples(st.integers(0, 24), st.integers(0, 24)), is_old=st.booleans())
def test_figures_tie_to_the_entries_whatever_the_clocks_say(steps, places, is_old):
    user_id = "usr_1"
    with transaction.atomic():
        with hosts_gave_the_times() if is_old else nullcontext():
            written = live(user_id, steps)
        if written:
            assert is_old or written == sorted(written, key=attrgetter("created_at"))
            first, last = (written[place % len(written)].created_at.date() for place in sorted(places))
            check_months(user_id, written)
            check_days(user_id, written)
            check_choices(user_id, written, first, last)
            check_spending(user_id, written, first, last)
        transaction.set_rollback(True)


def test_clocks_that_are_quite_wrong_lose_nothing_either():
    """Then a day may begin elsewhere; but every entry is still in one month, and the months still chain."""
    with hosts_gave_the_times():
        for number in range(60):
            wrote(1, at("2026-01-01 00:00:00") + timedelta(days=(number * 37) % 180))
    balance, entries = 0, 0
    for number in range(1, 9):
        statement = statements.month(user_id="usr_1", first_day=date(2026, number, 1))
        assert statement.opening == balance
        assert statement.opening + sum(entry.credits for entry in statement.entries) == statement.closing
        balance, entries = statement.closing, entries + statement.entries_count
    assert (balance, entries) == (60, 60)


def test_moments_in_order_are_places_in_order():
    with hosts_gave_the_times():
        for number in range(40):
            wrote(1, at("2026-01-01 00:00:00") + timedelta(hours=(number * 29) % 40))
    moments = [at("2025-12-31 23:00:00") + timedelta(hours=hour) for hour in range(60)]
    found = [cut.sequence for cut in places.cuts("usr_1", moments)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 40)
