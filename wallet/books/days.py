"""The ledger by day: totals of finished days are stored, other days are read from their entries.

The sums are exact: entries are append-only, so the total of a finished day never changes. Days are UTC days,
by the time an entry was written.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from foundation.calendar import DAY, day_of, end_of, start_of
from wallet.books.models import ClosedDay

# A charge takes seconds, and the clocks of hosts differ by minutes at most: after this time no more entry is
# written into a finished day.
SETTLING = timedelta(hours=1)
PRODUCTS_MAX = 100

# One statement sees one moment, so the count and the totals are of the same entries. Another process that
# closes the day at the same time waits at the first INSERT, finds the day closed, and writes nothing.
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

# The finished days that are not closed, from the first entry's day on, oldest first.
OPEN_DAYS = """
SELECT each::date
  FROM generate_series((SELECT min(created_at) AT TIME ZONE 'UTC' FROM wallet_entry)::date::timestamp,
                       %(last_day)s::timestamp, '1 day') AS each
 WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each::date)
 ORDER BY each
"""

# One statement sees one moment, so a day that is closed meanwhile is in one half only. With the GROUP BY in
# the lateral query, each open day is one lookup in the index on the time.
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

# Jumps from one product to the next in the index that begins with it, however many entries each has.
PRODUCTS = """
WITH RECURSIVE seen (product) AS (
    (SELECT product FROM wallet_entry ORDER BY product LIMIT 1)
     UNION ALL
    SELECT (SELECT entry.product FROM wallet_entry entry
             WHERE entry.product > seen.product ORDER BY entry.product LIMIT 1)
      FROM seen WHERE seen.product IS NOT NULL)
SELECT product FROM seen WHERE product <> '' LIMIT %(most)s
"""

# Uses the index on the kind, which has no charges. There are few adjustments: staff make them one by one.
ADJUSTED = """
SELECT coalesce(sum(credits) FILTER (WHERE credits > 0), 0)::bigint,
       coalesce(sum(credits) FILTER (WHERE credits < 0), 0)::bigint
  FROM wallet_entry
 WHERE kind = 'adjustment' AND created_at >= %(since)s AND created_at < %(until)s
   AND (%(product)s = '' OR product = %(product)s)
"""


@dataclass(frozen=True)
class Flow:
    """What the entries of one product and kind moved on one UTC day: credits with their sign, and a count."""

    day: date
    product: str
    kind: str
    credits: int
    entries: int


def close_days(*, now: datetime) -> list[ClosedDay]:
    """Add up each day that ended an hour before `now` and is not closed; returns them, oldest first.

    It starts with the first entry's day and closes days without entries too. Each day is a transaction. It is
    safe to run again, and to run twice at once: one of the two closes a day.
    """
    closed = []
    for day in open_days(now=now):
        with connection.cursor() as cursor:
            cursor.execute(CLOSE, {"day": day, "since": start_of(day), "until": end_of(day), "now": now})
            if row := cursor.fetchone():
                closed.append(ClosedDay(day=day, entries=row[0], closed_at=now))
    return closed


def open_days(*, now: datetime) -> list[date]:
    """The days that can be closed at `now` and are not, oldest first; none without entries."""
    last_day = day_of(now - SETTLING) - DAY
    with connection.cursor() as cursor:
        cursor.execute(OPEN_DAYS, {"last_day": last_day})
        return [day for (day,) in cursor.fetchall()]


def reopen(from_day: date) -> int:
    """Delete the totals of this day and all later ones, to be added up again; returns how many days.

    Nothing is lost: until the days are closed again, their entries are read instead.
    """
    _, deleted = ClosedDay.objects.filter(day__gte=from_day).delete()
    return deleted.get(ClosedDay._meta.label, 0)


def flows(first_day: date, last_day: date, product: str = "") -> list[Flow]:
    """What moved on these UTC days, both included, by day, product and kind; `product` narrows it.

    Closed days come from their totals, all others from their entries, through the index on the time.
    """
    values: dict[str, Any] = {"first_day": first_day, "last_day": last_day, "product": product}
    with connection.cursor() as cursor:
        cursor.execute(FLOWS, values)
        return [Flow(*row) for row in cursor.fetchall()]


def adjusted(first_day: date, last_day: date, product: str = "") -> tuple[int, int]:
    """The credits that staff's adjustments added (0 or more) and took (0 or less) on these UTC days."""
    values: dict[str, Any] = {"since": start_of(first_day), "until": end_of(last_day), "product": product}
    with connection.cursor() as cursor:
        cursor.execute(ADJUSTED, values)
        added, taken = cursor.fetchone() or (0, 0)
    return added, taken


def products() -> list[str]:
    """The products of all entries, sorted; at most 100."""
    with connection.cursor() as cursor:
        cursor.execute(PRODUCTS, {"most": PRODUCTS_MAX})
        return sorted(product for (product,) in cursor.fetchall())
