"""The ledger by day: what each finished day moved is added up once, and days that still run are read live.

This is exact, not an estimate: entries are append-only, so what a finished day adds up to never changes, and
whatever no total covers yet is read from the entries themselves. Days are those of UTC, by when an entry was
written.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from foundation.calendar import DAY, day_of, end_of, start_of
from wallet.books.models import ClosedDay

# A charge is over within seconds, and the clocks of hosts are minutes apart at most: nothing is written into
# a day that has been over for so long.
SETTLING = timedelta(hours=1)
PRODUCTS_MAX = 100

# One statement sees one moment, so the count and the totals are of the same entries. Whoever closes the day
# at the same time waits at the first INSERT, finds the day closed, and writes nothing.
CLOSE = """
WITH added AS MATERIALIZED (
     SELECT product, kind, sum(credits) AS credits, count(*) AS entries
       FROM wallet_entry
      WHERE created_at >= %(since)s AND created_at < %(until)s
      GROUP BY product, kind),
closed AS (
     INSERT INTO wallet_closedday (day, entries, closed_at)
     SELECT %(day)s, coalesce(sum(entries), 0), %(now)s FROM added
     ON CONFLICT (day) DO NOTHING
     RETURNING day, entries),
kept AS (
     INSERT INTO wallet_daytotal (day_id, product, kind, credits, entries)
     SELECT closed.day, added.product, added.kind, added.credits, added.entries FROM closed CROSS JOIN added)
SELECT entries FROM closed
"""

# The days from the first entry's on that are over and not closed, oldest first.
OPEN_DAYS = """
SELECT each::date
  FROM generate_series((SELECT min(created_at) AT TIME ZONE 'UTC' FROM wallet_entry)::date::timestamp,
                       %(last_day)s::timestamp, '1 day') AS each
 WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each::date)
 ORDER BY each
"""

# Both halves in one statement, which sees one moment: a day that is closed meanwhile is in one of them. The
# GROUP BY within the lateral query keeps it one look into the index on the time for each open day.
FLOWS = """
SELECT day_id, product, kind, credits, entries
  FROM wallet_daytotal
 WHERE day_id BETWEEN %(first_day)s AND %(last_day)s AND (%(product)s = '' OR product = %(product)s)
 UNION ALL
SELECT each::date, live.product, live.kind, live.credits, live.entries
  FROM generate_series(%(first_day)s::timestamp, %(last_day)s::timestamp, '1 day') AS each,
       LATERAL (SELECT product, kind, sum(credits)::bigint AS credits, count(*) AS entries
                  FROM wallet_entry
                 WHERE created_at >= each AT TIME ZONE 'UTC'
                   AND created_at < (each + interval '1 day') AT TIME ZONE 'UTC'
                   AND (%(product)s = '' OR product = %(product)s)
                 GROUP BY product, kind) AS live
 WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each::date)
 ORDER BY 1, 2, 3
"""

# From one product to the next through the index that begins with it, however many entries each has.
PRODUCTS = """
WITH RECURSIVE seen (product) AS (
    (SELECT product FROM wallet_entry ORDER BY product LIMIT 1)
     UNION ALL
    SELECT (SELECT entry.product FROM wallet_entry entry
             WHERE entry.product > seen.product ORDER BY entry.product LIMIT 1)
      FROM seen WHERE seen.product IS NOT NULL)
SELECT product FROM seen WHERE product <> '' LIMIT %(most)s
"""

# By the index on the kind, which leaves charges out: adjustments are made by hand, one at a time.
ADJUSTED = """
SELECT coalesce(sum(credits) FILTER (WHERE credits > 0), 0)::bigint,
       coalesce(sum(credits) FILTER (WHERE credits < 0), 0)::bigint
  FROM wallet_entry
 WHERE kind = 'adjustment' AND created_at >= %(since)s AND created_at < %(until)s
   AND (%(product)s = '' OR product = %(product)s)
"""


@dataclass(frozen=True)
class Flow:
    """What entries of one product and kind moved on one UTC day: credits with their sign, and how many."""

    day: date
    product: str
    kind: str
    credits: int
    entries: int


def close_days(*, now: datetime) -> list[ClosedDay]:
    """Add up each day that was over an hour before `now` and is not closed; those closed, oldest first.

    Begins with the first entry's day; days without entries are closed too. Each day is a transaction, so what
    was done stays done. Safe to run again, and to run twice at once: a day is closed by one of the two.
    """
    closed = []
    for day in open_days(now=now):
        with connection.cursor() as cursor:
            cursor.execute(CLOSE, {"day": day, "since": start_of(day), "until": end_of(day), "now": now})
            if row := cursor.fetchone():
                closed.append(ClosedDay(day=day, entries=row[0], closed_at=now))
    return closed


def open_days(*, now: datetime) -> list[date]:
    """The days that could be closed at `now` and are not, oldest first; none where there is no entry."""
    last_day = day_of(now - SETTLING) - DAY
    with connection.cursor() as cursor:
        cursor.execute(OPEN_DAYS, {"last_day": last_day})
        return [day for (day,) in cursor.fetchall()]


def reopen(from_day: date) -> int:
    """Forget the totals of this day and of all later ones, to be added up again; how many days.

    Nothing is lost: the totals follow from the entries, and until the days are closed these are read instead.
    """
    _, deleted = ClosedDay.objects.filter(day__gte=from_day).delete()
    return deleted.get(ClosedDay._meta.label, 0)


def flows(first_day: date, last_day: date, product: str = "") -> list[Flow]:
    """What moved on these UTC days, both included, by day, product and kind; `product` narrows it.

    Exact at the moment it is asked: closed days come from their totals, which are final since entries are
    append-only, all others from their entries, through the index on the time.
    """
    values: dict[str, Any] = {"first_day": first_day, "last_day": last_day, "product": product}
    with connection.cursor() as cursor:
        cursor.execute(FLOWS, values)
        return [Flow(*row) for row in cursor.fetchall()]


def adjusted(first_day: date, last_day: date, product: str = "") -> tuple[int, int]:
    """What staff's adjustments added and took on these UTC days: credits, from 0 up and from 0 down."""
    values: dict[str, Any] = {"since": start_of(first_day), "until": end_of(last_day), "product": product}
    with connection.cursor() as cursor:
        cursor.execute(ADJUSTED, values)
        added, taken = cursor.fetchone() or (0, 0)
    return added, taken


def products() -> list[str]:
    """Every product that entries name, in the order of the alphabet; the first hundred."""
    with connection.cursor() as cursor:
        cursor.execute(PRODUCTS, {"most": PRODUCTS_MAX})
        return sorted(product for (product,) in cursor.fetchall())
