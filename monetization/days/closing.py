"""Close finished days: add up the creators' records of each finished day once, and store the totals.

The totals are exact and final. Tips, refunds and events of subscriptions are never deleted, what they are
worth never changes, and the database refuses rows dated more than an hour from its clock. An erased reader
keeps one stand-in for each creator, so the number of readers does not change either.
"""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from foundation.calendar import end_of, start_of
from monetization.days.models import ClosedDay, DayTotal
from monetization.models import Subscription

# A day may be closed this long after its end. The database refuses a row dated more than an hour before it is
# written, and a transaction takes seconds.
SETTLING = timedelta(minutes=70)

NUMBERS = (
    *("tips", "gross_cents", "fee_cents", "refunds", "refunded_cents", "fee_returned_cents"),
    *("subscriptions", "events", "yearly_cents_delta", "payers_delta"),
)

# It runs in the transaction that holds the lock on the closed days.
LOCK = "LOCK TABLE monetization_closedday IN SHARE ROW EXCLUSIVE MODE"
CLOSE = f"""
WITH closed AS (
     INSERT INTO monetization_closedday (day, closed_at) VALUES (%(day)s, now()) RETURNING day, closed_at),
kept AS (
     INSERT INTO monetization_daytotal (creator_id, currency, day, {", ".join(NUMBERS)})
     SELECT * FROM monetization_totals(%(since)s, %(until)s))
SELECT day, closed_at FROM closed
"""  # noqa: S608 (made of names of this module)

# The finished days after the last closed day, oldest first. The first day is the day of the first record. The
# database's clock decides which days have ended, because the clock of this host may be hours ahead.
OPEN_DAYS = """
SELECT each::date
  FROM generate_series(coalesce((SELECT max(day) + 1 FROM monetization_closedday),
                                (least((SELECT min(created_at) FROM monetization_tip),
                                       (SELECT min(created_at) FROM monetization_refund),
                                       (SELECT min(created_at) FROM monetization_subscription),
                                       (SELECT min(created_at) FROM monetization_subscriptionevent))
                                 AT TIME ZONE 'UTC')::date)::timestamp,
                       (least(%(now)s, now()) - %(settling)s) AT TIME ZONE 'UTC' - interval '1 day',
                       '1 day') AS each
 ORDER BY each
"""


def close_days(*, now: datetime | None = None) -> list[ClosedDay]:
    """Close each day that ended at least 70 minutes before `now`. Return the days closed, oldest first.

    `now` is the time of the database's clock, unless an earlier time is given. Each day is one transaction.
    It is safe to call this function again, also from two processes at the same time: they wait for each
    other.
    """
    # Otherwise two spellings of a mailbox would be two readers.
    Subscription.fill_mailboxes(wait=True)
    closed = []
    while day := _close_a_day(now):
        closed.append(day)
    return closed


def _close_a_day(now: datetime | None) -> ClosedDay | None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        if not (days := open_days(now=now)):
            return None
        cursor.execute(CLOSE, {"day": days[0], "since": start_of(days[0]), "until": end_of(days[0])})
        return ClosedDay(*cursor.fetchone())


def open_days(*, now: datetime | None = None) -> list[date]:
    """Return the days that can be closed at `now` but are not, oldest first; [] if there are no records."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "settling": SETTLING}
        cursor.execute(OPEN_DAYS, values)
        return [day for (day,) in cursor.fetchall()]


def reopen(from_day: date) -> int:
    """Delete the stored totals of this day and of all later days. Return how many days were deleted.

    No data is lost: until these days are closed again, their totals are computed from the records.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK)
        days, _ = ClosedDay.objects.filter(day__gte=from_day).delete()
        DayTotal.objects.filter(day__gte=from_day).delete()
    return days
