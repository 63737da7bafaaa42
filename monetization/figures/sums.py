"""Sums of a creator's tips, refunds and changes of subscriptions.

The stored totals of closed days are read, and the records of all later days. One SQL statement reads one
snapshot, so no record is in both halves, even if another process closes a day now.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from accounts.models import User
from monetization.figures.periods import Period, Step

# From this moment on, records are read. It is -infinity if no day is closed.
CLOSED = """
closed AS (SELECT coalesce((max(day) + 1)::timestamp AT TIME ZONE 'UTC', '-infinity') AS until
             FROM monetization_closedday)
"""
# Tips and refunds of the period, and all changes of subscriptions before its end.
MOVES = f"""
WITH {CLOSED}, moves AS (
    SELECT day, currency, day >= %(first_day)s AS is_within, tips, gross_cents, fee_cents, refunds,
           refunded_cents, fee_returned_cents, events, yearly_cents_delta
      FROM monetization_daytotal
     WHERE creator_id = %(creator)s AND currency <> '' AND day <= %(last_day)s
     UNION ALL
    SELECT (created_at AT TIME ZONE 'UTC')::date, currency, true, 1, gross_cents, fee_cents, 0, 0, 0, 0, 0
      FROM monetization_tip
     WHERE creator_id = %(creator)s AND created_at >= (SELECT until FROM closed)
       AND created_at >= %(since)s AND created_at < %(until)s
     UNION ALL
    SELECT (created_at AT TIME ZONE 'UTC')::date, currency, true, 0, 0, 0, 1, amount_cents,
           fee_returned_cents, 0, 0
      FROM monetization_refund
     WHERE creator_id = %(creator)s AND created_at >= (SELECT until FROM closed)
       AND created_at >= %(since)s AND created_at < %(until)s
     UNION ALL
    SELECT (created_at AT TIME ZONE 'UTC')::date, currency, created_at >= %(since)s, 0, 0, 0, 0, 0, 0, 1,
           yearly_cents_delta
      FROM monetization_subscriptionevent
     WHERE creator_id = %(creator)s AND created_at >= (SELECT until FROM closed)
       AND created_at < %(changes_until)s::timestamptz
)
"""  # noqa: S608 (made of names of this module)
SUMS = """
    coalesce(sum(tips) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(gross_cents) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(fee_cents) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(refunds) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(refunded_cents) FILTER (WHERE is_within), 0)::bigint,
    coalesce(sum(fee_returned_cents) FILTER (WHERE is_within), 0)::bigint,
    sum(events)::bigint,
    sum(yearly_cents_delta)::bigint
"""
BY_CURRENCY = f"{MOVES} SELECT currency, {SUMS} FROM moves GROUP BY currency"  # noqa: S608
# The row with NULL as its day holds all changes of subscriptions before the period.
BY_STEP = f"""
{MOVES}
SELECT CASE WHEN is_within THEN date_trunc(%(step)s, (day + %(days_later)s)::timestamp)::date END, {SUMS}
  FROM moves WHERE currency = %(currency)s
 GROUP BY 1
"""  # noqa: S608 (made of names of this module)
CURRENCIES = f"""
WITH {CLOSED}
SELECT currency
  FROM (SELECT currency, tips + subscriptions AS number
          FROM monetization_daytotal WHERE creator_id = %(creator)s AND currency <> ''
         UNION ALL
        SELECT currency, 1 FROM monetization_tip
         WHERE creator_id = %(creator)s AND created_at >= (SELECT until FROM closed)
         UNION ALL
        SELECT currency, 1 FROM monetization_subscription
         WHERE creator_id = %(creator)s AND created_at >= (SELECT until FROM closed)
         UNION ALL
        SELECT currency, 1 FROM monetization_sponsor WHERE creator_id = %(creator)s) AS records
 GROUP BY currency
HAVING sum(number) > 0
 ORDER BY sum(number) DESC, currency
"""  # noqa: S608 (made of names of this module)


@dataclass(frozen=True)
class Sums:
    """What the records of one currency add up to, in its smallest unit.

    `tips` to `fee_returned_cents` are of the period or step. `events` is a number of changes of
    subscriptions, and `yearly_cents` is their effect on the income of a year: of all changes until the end of
    the period (`by_currency`), or of those in the step (`by_step`).
    """

    tips: int = 0
    gross_cents: int = 0
    fee_cents: int = 0
    refunds: int = 0
    refunded_cents: int = 0
    fee_returned_cents: int = 0
    events: int = 0
    yearly_cents: int = 0

    @property
    def net_cents(self) -> int:
        """The gross amount of the tips minus the platform's fee."""
        return self.gross_cents - self.fee_cents

    @property
    def net_after_refunds_cents(self) -> int:
        """What the creator keeps: the net, minus what was refunded, plus the fees that were returned."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


def by_currency(creator: User, period: Period, *, at: datetime) -> dict[str, Sums]:
    """Return the sums of a period by currency, also of a currency with records only before it.

    If the period has not ended at the moment `at`, all changes of subscriptions count. This takes one query.
    """
    return _read(
        BY_CURRENCY, creator, period, changes_until=period.until if period.until <= at else "infinity"
    )


def by_step(
    creator: User, currency: str, period: Period, step: Step, *, days_later: int = 0
) -> dict[date | None, Sums]:
    """Return the sums of each step that has records, by the step's first day. This takes one query.

    The key None has the changes of subscriptions before the period. A record counts in the step that contains
    the day `days_later` days after its own, so that the steps of a later period can be compared with it.
    """
    return _read(
        BY_STEP,
        creator,
        period,
        changes_until=period.until,
        currency=currency,
        step=step,
        days_later=days_later,
    )


def currencies_of(creator: User) -> list[str]:
    """Return the currencies of a creator's tips, subscriptions and placements; the one with most rows first.

    This takes one query.
    """
    with connection.cursor() as cursor:
        cursor.execute(CURRENCIES, {"creator": creator.pk})
        return [currency for (currency,) in cursor.fetchall()]


def _read(query: str, creator: User, period: Period, **values: str | int | datetime) -> dict[Any, Sums]:
    days = {"first_day": period.first_day, "last_day": period.last_day}
    moments = {"since": period.since, "until": period.until}
    with connection.cursor() as cursor:
        cursor.execute(query, {"creator": creator.pk, **days, **moments, **values})
        return {key: Sums(*sums) for key, *sums in cursor.fetchall()}
