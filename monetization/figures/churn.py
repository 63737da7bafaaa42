"""Churn at the end of each step of a period, for the small line of its tile.

Each point has the definition of `stats.Churn`. How many readers paid 30 days before is the sum of the totals
of closed days. Which of them left is read from the events of subscriptions.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from accounts.models import User
from foundation.calendar import DAY, end_of
from monetization.figures import by_mailbox, series
from monetization.figures.periods import Period, step_of, steps
from monetization.figures.stats import CHURN_DAYS, Churn
from monetization.models import Subscription

# With more cancellations the line is left out: it reads the reader of each one (5,000 took 0.25 seconds).
CANCELLED_MAX = 2000

# `readers` are those with a cancelled subscription in the period or the 30 days before it. Only they can have
# left. `lives` has the times in which each of them paid: from an event of a subscription to its next event.
# Events have the order of their ids. The clocks of two hosts differ, so a later event may be dated earlier.
#
# A reader has left at a moment if they paid 30 days before it and do not pay at it. So the moment is in their
# life moved by 30 days, and not in their life. The result has the number of readers who have left from one
# moment on, until another.
#
# With OFFSET 0, PostgreSQL reads a lateral query for each row, by an index.
LEFT = """
WITH not_filled AS (
    SELECT min(id) IS NOT NULL AS found
      FROM monetization_subscription WHERE mailbox IS NULL AND reader ~ %(other)s
), cancelled AS (
    SELECT subscription_id FROM monetization_subscriptionevent
     WHERE creator_id = %(creator)s AND status = 'cancelled'
       AND created_at >= %(since)s AND created_at < %(until)s
     LIMIT %(most)s + 1
), readers AS (
    SELECT DISTINCT coalesce(mailbox, reader) AS reader
      FROM cancelled JOIN monetization_subscription subscription ON subscription.id = subscription_id
     WHERE currency = %(currency)s AND (SELECT count(*) FROM cancelled) <= %(most)s
), lives AS (
    SELECT reader, range_agg(tstzrange(began, ended, '(]')) AS life
      FROM readers
     CROSS JOIN LATERAL (
           SELECT id FROM monetization_subscription
            WHERE creator_id = %(creator)s AND coalesce(mailbox, reader) = readers.reader
              AND currency = %(currency)s
           OFFSET 0) AS theirs
     CROSS JOIN LATERAL (
           SELECT status, created_at AS began,
                  coalesce(min(created_at) OVER later, 'infinity') AS ended
             FROM monetization_subscriptionevent WHERE subscription_id = theirs.id
           WINDOW later AS (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
           OFFSET 0) AS state
     WHERE status IN ('active', 'past_due') AND began < ended
     GROUP BY reader
), away AS (
    SELECT unnest(range_agg(tstzrange(lower(paid) + %(days)s, upper(paid) + %(days)s, '(]')) - life) AS span
      FROM lives CROSS JOIN LATERAL unnest(life) AS paid
     GROUP BY reader, life
), counted AS (
    SELECT width_bucket(lower(span), %(moments)s::timestamptz[]) AS since,
           width_bucket(upper(span), %(moments)s::timestamptz[]) AS until
      FROM away
)
SELECT since, until, count(*), found FROM counted, not_filled WHERE since < until GROUP BY since, until, found
 UNION ALL
SELECT NULL, NULL, (SELECT count(*) FROM cancelled), found FROM not_filled
"""


def by_day(creator: User, currency: str, period: Period, *, at_end: Churn) -> list[float | None]:
    """Return the percentage of churn at the end of each step of the period, oldest first.

    `at_end` is the churn at the end of the period, or now: the last point. A point is None if no reader paid
    30 days before. The list is empty if a day that it needs is not closed yet, or if more than CANCELLED_MAX
    subscriptions were cancelled. This takes three queries.
    """
    last_days = [last_day for _, _, last_day in steps(period, step_of(period))][:-1]
    days_before = [day - CHURN_DAYS * DAY for day in last_days]
    closed = series.last_closed_day()
    if not last_days or closed is None or closed < days_before[-1]:
        return []
    left = _left(creator, currency, [end_of(day) for day in last_days])
    if left is None:
        return []
    paid = series.paying_at_the_end_of(creator, currency, days_before)
    return [*(Churn(*each).percent for each in zip(left, paid, strict=True)), at_end.percent]


def _left(creator: User, currency: str, moments: Sequence[datetime]) -> list[int] | None:
    """Return how many readers paid 30 days before each moment and left; None if too many did."""
    values: dict[str, Any] = {
        "creator": creator.pk,
        "currency": currency,
        "since": moments[0] - CHURN_DAYS * DAY,
        "until": moments[-1],
        "days": CHURN_DAYS * DAY,
        "moments": list(moments),
        "most": CANCELLED_MAX,
    }
    moves = [0] * (len(moments) + 1)
    for since, until, number in by_mailbox.rows(Subscription, LEFT, values):
        if since is None:
            if number > CANCELLED_MAX:
                return None
            continue
        moves[since] += number
        moves[until] -= number
    return list(accumulate(moves[:-1]))
