"""The totals of the ledger for each day.

The totals of closed days are stored. The totals of all other days are computed from their entries. Both are
exact: entries are never changed or deleted, so the total of a finished day never changes. A day is a UTC day,
and an entry belongs to the day on which it was written.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from foundation.calendar import end_of, start_of
from wallet.books.models import ClosedDay

# A day may be closed this long after its end. By then, no process writes entries with a time of this day: the
# times come from the database's clock, and a charge takes seconds.
SETTLING = timedelta(hours=1)
PRODUCTS_MAX = 100
NEWEST = 1_000

# One SQL statement reads one snapshot, so the count and the totals come from the same entries. If another
# process closes the same day at the same time, it waits at its first INSERT until the day is closed. Then
# it writes nothing.
ADDED = """
     SELECT product, feature, kind, sum(credits)::bigint AS credits,
            coalesce(sum(moved.granted), 0)::bigint AS granted, count(*) AS entries
       FROM wallet_entry
       LEFT JOIN LATERAL (
            SELECT sum(credits) AS granted FROM wallet_lotmove
             WHERE wallet_lotmove.wallet_id = wallet_entry.wallet_id
               AND wallet_lotmove.sequence = wallet_entry.sequence) AS moved ON true
      WHERE created_at >= %(since)s AND created_at < %(until)s
      GROUP BY product, feature, kind
"""
CLOSE = f"""
WITH added AS MATERIALIZED ({ADDED}),
closed AS (
     INSERT INTO wallet_closedday (day, entries, closed_at)
     SELECT %(day)s, coalesce(sum(entries), 0), now() FROM added
     ON CONFLICT (day) DO NOTHING
     RETURNING day, entries, closed_at),
kept AS (
     INSERT INTO wallet_daytotal (day_id, product, kind, credits, entries)
     SELECT closed.day, added.product, added.kind, sum(added.credits), sum(added.entries)
       FROM closed CROSS JOIN added GROUP BY closed.day, added.product, added.kind),
parts AS (
     INSERT INTO wallet_featuretotal (day_id, product, feature, kind, credits, granted, entries)
     SELECT closed.day, product, feature, kind, added.credits, granted, added.entries
       FROM closed CROSS JOIN added
     ON CONFLICT DO NOTHING)
SELECT day, entries, closed_at FROM closed
"""  # noqa: S608 (made of texts of this module)

# Releases before this table closed days without it.
WITHOUT_FEATURES = """
SELECT day FROM wallet_closedday closed
 WHERE entries > 0 AND NOT EXISTS (SELECT FROM wallet_featuretotal WHERE day_id = closed.day)
 ORDER BY day
"""
ADD_FEATURES = f"""
WITH added AS MATERIALIZED ({ADDED})
INSERT INTO wallet_featuretotal (day_id, product, feature, kind, credits, granted, entries)
SELECT %(day)s, product, feature, kind, credits, granted, entries FROM added
ON CONFLICT DO NOTHING
"""  # noqa: S608 (made of texts of this module)

# The finished days that are not closed yet, oldest first. The search starts at the day of the first entry. No
# index has the order of the times, so it only reads the entries before the first closed day (usually none),
# and none that are younger than the first id: ids begin with the time of the host that made them, so that
# entry is old. With a bound on both sides, PostgreSQL expects few entries. The database's clock decides which
# days have ended, because the clock of this host may be hours ahead.
OPEN_DAYS = """
WITH closed AS (SELECT min(day)::timestamp AS began FROM wallet_closedday),
written AS (
     SELECT min(created_at) AT TIME ZONE 'UTC' AS began
       FROM wallet_entry
      WHERE created_at >= '-infinity'
        AND created_at <= (SELECT least(created_at, began AT TIME ZONE 'UTC') FROM wallet_entry, closed
                            ORDER BY id LIMIT 1))
SELECT each::date
  FROM closed, written,
       generate_series(least(closed.began, written.began::date::timestamp),
                       (least(%(now)s, now()) - %(settling)s) AT TIME ZONE 'UTC' - interval '1 day',
                       '1 day') AS each
 WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each::date)
 ORDER BY each
"""

# The first half reads the closed days. The second half reads the entries of the days before the first closed
# day (usually none, as at the beginning of a ledger), and all from the first other day after it on. These are
# two ranges of the index on the time. It leaves out closed days. One SQL statement reads one snapshot, so no
# day is in both halves, even if another process closes it now.
FLOWS = """
WITH closed AS (
     SELECT min(day)::timestamp AS began
       FROM wallet_closedday WHERE day BETWEEN %(first_day)s AND %(last_day)s)
SELECT day_id, product, kind, credits, entries
  FROM wallet_daytotal
 WHERE day_id BETWEEN %(first_day)s AND %(last_day)s AND (%(product)s = '' OR product = %(product)s)
 UNION ALL
SELECT day, product, kind, credits, entries
  FROM (SELECT (created_at AT TIME ZONE 'UTC')::date AS day, product, kind, sum(credits)::bigint AS credits,
               count(*) AS entries
          FROM wallet_entry
         WHERE (created_at >= %(since)s
                AND created_at < (SELECT coalesce(began AT TIME ZONE 'UTC', %(until)s) FROM closed)
             OR created_at < %(until)s
                AND created_at >= (
                    SELECT min(each) AT TIME ZONE 'UTC'
                      FROM closed, generate_series(began, %(last_day)s::timestamp, '1 day') AS each
                     WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each::date)))
           AND (%(product)s = '' OR product = %(product)s)
         GROUP BY 1, 2, 3) AS live
 WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE wallet_closedday.day = live.day)
 ORDER BY 1, 2, 3
"""

# No index has the products of entries, so the newest entries stand for those of the days that are open.
PRODUCTS = """
SELECT product FROM wallet_daytotal
 UNION
SELECT product FROM (SELECT product FROM wallet_entry ORDER BY id DESC LIMIT %(newest)s) AS newest
 ORDER BY 1 LIMIT %(most)s + 1
"""

LAST_CLOSED = """
SELECT max(day) FILTER (WHERE NOT EXISTS (SELECT FROM wallet_closedday WHERE day = each.day - 1)), max(day)
  FROM wallet_closedday AS each
"""

# Uses the index on the kind. This index leaves charges out, so it is small. There are few adjustments,
# because staff make each one by hand.
ADJUSTED = """
SELECT coalesce(sum(credits) FILTER (WHERE credits > 0), 0)::bigint,
       coalesce(sum(credits) FILTER (WHERE credits < 0), 0)::bigint
  FROM wallet_entry
 WHERE kind = 'adjustment' AND created_at >= %(since)s AND created_at < %(until)s
   AND (%(product)s = '' OR product = %(product)s)
"""


@dataclass(frozen=True)
class Flow:
    """The sum of the entries of one product and kind on one UTC day.

    `credits` is positive if credits were added and negative if they were taken. `entries` is a count.
    """

    day: date
    product: str
    kind: str
    credits: int
    entries: int


def close_days(*, now: datetime | None = None) -> list[ClosedDay]:
    """Close each day that ended at least an hour before `now`. Return the days closed, oldest first.

    `now` is the time of the database's clock, unless an earlier time is given.

    Closing a day means that its totals are stored. The first day is the day of the first entry; days without
    entries are closed too. Each day is one transaction. It is safe to call this function again, also from two
    processes at the same time: only one of them closes each day.
    """
    closed = []
    for day in open_days(now=now):
        with connection.cursor() as cursor:
            cursor.execute(CLOSE, {"day": day, "since": start_of(day), "until": end_of(day)})
            if row := cursor.fetchone():
                closed.append(ClosedDay(*row))
    return closed


def add_features() -> list[date]:
    """Add up the features of closed days that an earlier release closed without them. Return these days.

    Each day is a transaction of its own. It is safe to call this function again, also from two processes.
    """
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_FEATURES)
        days = [day for (day,) in cursor.fetchall()]
        for day in days:
            cursor.execute(ADD_FEATURES, {"day": day, "since": start_of(day), "until": end_of(day)})
    return days


def lack_features() -> bool:
    """Return whether a closed day with entries has no totals by feature, as after an earlier release."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({WITHOUT_FEATURES})")
        [(is_lacking,)] = cursor.fetchall()
    return bool(is_lacking)


def open_days(*, now: datetime | None = None) -> list[date]:
    """Return the days that can be closed at `now` but are not, oldest first; [] if there are no entries.

    `now` is the time of the database's clock, unless an earlier time is given.
    """
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "settling": SETTLING}
        cursor.execute(OPEN_DAYS, values)
        return [day for (day,) in cursor.fetchall()]


def reopen(from_day: date) -> int:
    """Delete the stored totals of this day and of all later days. Return how many days were deleted.

    No data is lost: until these days are closed again, their totals are computed from their entries.
    """
    _, deleted = ClosedDay.objects.filter(day__gte=from_day).delete()
    return deleted.get(ClosedDay._meta.label, 0)


def flows(first_day: date, last_day: date, product: str = "") -> list[Flow]:
    """Return the sums of these UTC days (both included), sorted by day, product and kind.

    With `product`, only the sums of this product are returned. For closed days, the stored totals are read.
    For all other days, the entries are read with the index on the time.
    """
    values: dict[str, Any] = {"first_day": first_day, "last_day": last_day, "product": product}
    times = {"since": start_of(first_day), "until": end_of(last_day)}
    with connection.cursor() as cursor:
        cursor.execute(FLOWS, values | times)
        return [Flow(*row) for row in cursor.fetchall()]


def adjusted(first_day: date, last_day: date, product: str = "") -> tuple[int, int]:
    """Return the credits that staff's adjustments added (0 or more) and took (0 or less) on these UTC days.

    Both days are included. With `product`, only adjustments of this product count.
    """
    values: dict[str, Any] = {"since": start_of(first_day), "until": end_of(last_day), "product": product}
    with connection.cursor() as cursor:
        cursor.execute(ADJUSTED, values)
        added, taken = cursor.fetchone() or (0, 0)
    return added, taken


def products() -> list[str]:
    """Return the products of closed days and of the 1,000 newest entries, sorted; at most 100."""
    with connection.cursor() as cursor:
        cursor.execute(PRODUCTS, {"newest": NEWEST, "most": PRODUCTS_MAX})
        return [product for (product,) in cursor.fetchall() if product][:PRODUCTS_MAX]


def last_closed() -> tuple[date, date] | None:
    """Return the first and the last of the newest closed days without a gap; None if no day is closed."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_CLOSED)
        [(first, last)] = cursor.fetchall()
    return (first, last) if first and last else None
