"""How fast a user spends, against a sum of its own over the entries, and for how long a balance lasts."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wallet.entries import sql
from tests.wallet.past import captured, charged, gave_back, took_back, topped_up, wrote
from wallet.history import spending
from wallet.history.spending import PACE_DAYS, Pace

pytestmark = pytest.mark.django_db

TODAY = date(2026, 3, 31)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
# The definition in docs/ledger.md, word by word: by the time of the charge, and without the sequence.
SPENT_FROM = """
SELECT coalesce(sum(taken.taken - coalesce(back.given, 0)), 0)
  FROM (SELECT id, -credits AS taken FROM wallet_entry
         WHERE wallet_id = %s AND kind = ANY (ARRAY['deduct', 'capture'])
           AND (created_at AT TIME ZONE 'UTC')::date >= %s) taken
  LEFT JOIN (SELECT reverses_id, sum(credits) AS given FROM wallet_entry WHERE kind = 'refund' GROUP BY 1)
    AS back ON back.reverses_id = taken.id
"""
NUMBERS = iter(range(10**6))  # Each example has a wallet of its own.


def pace(user_id="usr_1", today=TODAY):
    return spending.pace(user_id, today=today)


def ago(days, hours=0):
    return NOON - timedelta(days=days, hours=hours)


def test_it_is_what_the_entries_add_up_to():
    wrote(1000, ago(80))
    charged(7, ago(45))
    early = charged(10, ago(40))
    charged(4, ago(30))  # 1 March: of the month, but not of the 30 days.
    kept = charged(9, ago(29, hours=12))  # 2 March, 00:00: the first of 30 days.
    captured(6, ago(20))
    gave_back(early, 10, ago(19))
    gave_back(kept, 2, ago(3))
    took_back(topped_up(50, ago(2)), 50, ago(1))
    wrote(-5, ago(1))
    wrote(90, ago(1), user_id="usr_2")
    charged(33, ago(1), user_id="usr_2")
    charged(3, ago(0))
    assert pace() == Pace(this_month=9 - 2 + 4 + 6 + 3, lately=9 - 2 + 6 + 3, days=30)
    for first_day, spent in ((date(2026, 3, 1), pace().this_month), (date(2026, 3, 2), pace().lately)):
        assert sql(SPENT_FROM, "usr_1", first_day) == [(spent,)]


@given(
    days=st.lists(st.integers(0, 70), min_size=1, max_size=12),
    today=st.dates(date(2026, 4, 20), date(2026, 5, 31)),
)
def test_it_is_what_the_entries_add_up_to_on_any_day(days, today):
    user_id = f"usr_{next(NUMBERS)}"
    end = datetime(today.year, today.month, today.day, 23, tzinfo=UTC)
    wrote(1000, end - timedelta(days=71), user_id=user_id)
    for number, day in enumerate(sorted(days, reverse=True)):
        charge = charged(number + 1, end - timedelta(days=day), user_id=user_id)
        if number % 3 == 1:
            gave_back(charge, 1, end - timedelta(days=day))
    found = pace(user_id, today)
    for first_day, spent in (
        (today.replace(day=1), found.this_month),
        (today - timedelta(days=29), found.lately),
    ):
        assert sql(SPENT_FROM, user_id, first_day) == [(spent,)]
    assert found.days == PACE_DAYS


@pytest.mark.parametrize(("age", "days"), [(0, 1), (6, 7), (12, 13), (29, 30), (30, 30), (400, 30)])
def test_a_young_wallet_is_measured_by_its_own_days(age, days):
    wrote(10, ago(age))
    assert pace().days == days


def test_no_wallet_has_spent_nothing():
    assert pace() == Pace(0, 0, 1)


@pytest.mark.parametrize(
    ("measured", "available", "days"),
    [
        (Pace(5, 30, 30), 23, 23),
        (Pace(5, 31, 30), 31, 30),
        (Pace(5, 200, 30), 6, 0),
        (Pace(5, 7, 7), 3, 3),
        (Pace(5, 1, 30), 10**12, 30 * 10**12),
        (Pace(5, 6, 6), 3, None),  # Too little history.
        (Pace(0, 0, 30), 3, None),  # Nothing spent.
        (Pace(5, 30, 30), 0, None),
        (Pace(5, 30, 30), -4, None),
    ],
)
def test_a_balance_lasts_as_long_as_the_pace_allows(measured, available, days):
    assert measured.lasts_days(available) == days
