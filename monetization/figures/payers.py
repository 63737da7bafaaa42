"""Counts the readers who paid at given moments, for the figures of subscribers and churn.

A reader pays while one of their subscriptions is active or past due. The mailbox identifies a reader, in any
spelling of its address. If the reader was erased, the placeholder that replaced the address identifies them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from monetization.figures import by_mailbox
from monetization.figures.sums import CLOSED
from monetization.models import Subscription

# Whether a reader of `gone` pays at a moment: whether, after the last event before it, one of the reader's
# subscriptions is active or past due.
_PAYS = """
EXISTS (SELECT FROM monetization_subscription theirs
         WHERE theirs.creator_id = %(creator)s AND coalesce(theirs.mailbox, theirs.reader) = gone.reader
           AND gone.currency IN ('', theirs.currency)
           AND (SELECT last.status FROM monetization_subscriptionevent last
                 WHERE last.subscription_id = theirs.id AND last.created_at < {moment}
                 ORDER BY last.id DESC LIMIT 1) IN ('active', 'past_due'))
"""
_READ_BY = """
    CASE WHEN %(by_currency)s THEN subscription.currency ELSE '' END AS currency,
    coalesce(subscription.mailbox, subscription.reader) AS reader
"""

# How many readers pay at a moment is the sum of the stored changes of closed days up to `base`, and of the
# changes from then to the moment. `base` is the last midnight before the moment, or the end of the last
# closed day if that is earlier. It is -infinity if no day is closed.
#
# `changed` are the subscriptions with an event in between, with their status after it. Only their readers can
# have started or stopped paying. `lives` adds what all subscriptions of these readers were at `base`.
#
# `gone` are the readers with a cancelled subscription between a moment and the end. Only they can have paid
# at the moment and not at the end. A reader with two subscriptions who cancelled one of them still pays.
#
# With OFFSET 0, PostgreSQL reads a lateral query for each row, by an index. Otherwise it would read all
# subscriptions of all creators, since it cannot know how short the times are.
#
# The rows with number NULL are the currencies with an event since the earliest moment. This is one statement,
# so all of it reads the same snapshot of the database.
PAYERS = f"""
WITH not_filled AS (
    SELECT min(id) IS NOT NULL AS found
      FROM monetization_subscription WHERE mailbox IS NULL AND reader ~ %(other)s
), {CLOSED}, moments AS (
    SELECT number, moment,
           least(closed.until, date_trunc('day', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') AS base
      FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS given (moment, number), closed
     UNION ALL
    SELECT 0, coalesce(%(end)s, 'infinity'::timestamptz),
           least(closed.until, date_trunc('day', %(end)s::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')
      FROM closed
), ending AS (
    SELECT moment FROM moments WHERE number = 0
), changed AS (
    SELECT DISTINCT ON (number, subscription.id) number, base, subscription.id, {_READ_BY}, event.created_at,
           event.status IN ('active', 'past_due') AS pays
      FROM moments
     CROSS JOIN LATERAL (
           SELECT id, subscription_id, status, created_at FROM monetization_subscriptionevent
            WHERE creator_id = %(creator)s AND created_at >= base AND created_at < moment
           OFFSET 0) AS event
      JOIN monetization_subscription subscription ON subscription.id = event.subscription_id
     ORDER BY number, subscription.id, event.id DESC
), lives AS (
    SELECT number, currency, reader, false AS paid, pays FROM changed
     UNION ALL
    SELECT readers.number, readers.currency, readers.reader, was.paid, was.paid AND changed.id IS NULL
      FROM (SELECT DISTINCT number, base, currency, reader FROM changed WHERE base > '-infinity') AS readers
     CROSS JOIN LATERAL (
           SELECT id FROM monetization_subscription
            WHERE creator_id = %(creator)s AND coalesce(mailbox, reader) = readers.reader
              AND readers.currency IN ('', currency)
           OFFSET 0) AS theirs
     CROSS JOIN LATERAL (
           SELECT event.status IN ('active', 'past_due') AS paid FROM monetization_subscriptionevent event
            WHERE event.subscription_id = theirs.id AND event.created_at < readers.base
            ORDER BY event.id DESC LIMIT 1) AS was
      LEFT JOIN changed ON changed.number = readers.number AND changed.id = theirs.id
), changes AS (
    SELECT number, currency, payers_delta AS readers
      FROM moments
      JOIN monetization_daytotal ON creator_id = %(creator)s AND day < (base AT TIME ZONE 'UTC')::date
                                AND (currency <> '') = %(by_currency)s
     UNION ALL
    SELECT number, currency, bool_or(pays)::int - bool_or(paid)::int
      FROM lives GROUP BY number, currency, reader
), gone AS (
    SELECT DISTINCT number, moment, {_READ_BY}
      FROM moments
     CROSS JOIN LATERAL (
           SELECT subscription_id FROM monetization_subscriptionevent
            WHERE creator_id = %(creator)s AND status = 'cancelled' AND created_at >= moment
              AND created_at < (SELECT moment FROM ending)
           OFFSET 0) AS event
      JOIN monetization_subscription subscription ON subscription.id = event.subscription_id
     WHERE number > 0 AND number IN (SELECT number FROM changes GROUP BY number HAVING sum(readers) > 0)
)
SELECT currency, number, sum(readers)::bigint, 0, (SELECT found FROM not_filled)
  FROM changes GROUP BY currency, number
 UNION ALL
SELECT currency, number, 0, count(*), (SELECT found FROM not_filled)
  FROM gone
 WHERE {_PAYS.format(moment="moment")} AND NOT {_PAYS.format(moment="(SELECT moment FROM ending)")}
 GROUP BY currency, number
 UNION ALL
SELECT CASE WHEN %(by_currency)s THEN currency ELSE '' END, NULL, 0, 0, (SELECT found FROM not_filled)
  FROM (SELECT currency
          FROM monetization_daytotal
         WHERE creator_id = %(creator)s AND currency <> '' AND events > 0
           AND day > (%(earliest)s AT TIME ZONE 'UTC')::date
         UNION
        SELECT currency
          FROM monetization_subscriptionevent
         WHERE creator_id = %(creator)s AND created_at >= %(earliest)s
           AND created_at
               < (date_trunc('day', %(earliest)s AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'
         UNION
        SELECT currency FROM changed WHERE number = 0 AND created_at >= %(earliest)s) AS moved
"""  # noqa: S608 (made of names of this module)


@dataclass(frozen=True)
class Earlier:
    """How many readers paid at an earlier moment, and how many of these do not pay at the end (`left`)."""

    paid: int
    left: int


@dataclass(frozen=True)
class Payers:
    """How many readers pay at the end, and who of the readers of earlier moments left until then."""

    paying: int
    earlier: list[Earlier]

    def joined(self, number: int) -> int:
        """How many readers pay at the end and did not pay at the earlier moment with this number."""
        return self.paying - self.earlier[number].paid + self.earlier[number].left


def at(
    creator: User, moments: Sequence[datetime], *, end: datetime | None = None, by_currency: bool = True
) -> dict[str, Payers]:
    """Return, by currency, how many readers paid just before each of these moments and just before the end.

    Without an `end`, the end is now. No moment may be later than the end. A currency is left out if no reader
    paid at a moment and nothing happened since the earliest. With `by_currency=False`, a reader who pays in
    two currencies counts once, and the only currency is "". This takes one query.
    """
    values: dict[str, Any] = {
        "creator": creator.pk,
        "by_currency": by_currency,
        "earliest": min(moments),
        "moments": list(moments),
        "end": end,
    }
    counts: dict[str, list[Earlier]] = {}
    rows = by_mailbox.rows(Subscription, PAYERS, values)
    moved = {currency for currency, number, *_ in rows if number is None}
    for currency, number, paid, left in rows:
        # The end is first, then the moments.
        count = counts.setdefault(currency, [Earlier(0, 0)] * (len(moments) + 1))
        place = number or 0
        count[place] = Earlier(count[place].paid + paid, count[place].left + left)
    return {
        currency: Payers(at_end.paid, earlier)
        for currency, (at_end, *earlier) in counts.items()
        if currency in moved or any(each.paid for each in (at_end, *earlier))
    }
