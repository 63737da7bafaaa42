"""Which readers paid when: the ground of subscribers, churn, and who came and went.

A reader pays while one of their subscriptions is active or past due, and is known by the address in lower
case, or by the stand-in that took its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import User

# Counted apart from the sums of money: count(DISTINCT reader) beside them sorts every row. Only readers with
# an event since the earliest moment can have come or gone; all others who pay now paid at each of the
# moments. Of those with one, each subscription is looked at as it is and as its last event by each moment
# left it: a reader with two, of whom one is cancelled, still pays. The last event's answer is the lowest bit
# of the largest 2 * id + answer, found in one pass without sorting. Of a reader the bits are whether they pay
# now, and then whether they did at each moment. One statement, so that all of it is of one moment.
PAYERS = """
WITH mine AS (
    SELECT id, CASE WHEN %(by_currency)s THEN currency ELSE '' END AS currency, reader,
           (status IN ('active', 'past_due'))::int AS pays
      FROM monetization_subscription
     WHERE creator_id = %(creator)s
), touched AS (
    SELECT DISTINCT mine.currency, mine.reader
      FROM monetization_subscriptionevent event JOIN mine ON mine.id = event.subscription_id
     WHERE event.creator_id = %(creator)s AND event.created_at > %(earliest)s
), looked_at AS (
    SELECT * FROM mine JOIN touched USING (currency, reader)
), was AS (
    SELECT event.subscription_id, asked.number::int,
           (max(2 * event.id + (event.status IN ('active', 'past_due'))::int) %% 2)::int AS paid
      FROM monetization_subscriptionevent event
      JOIN unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS asked (moment, number)
        ON event.created_at <= asked.moment
     WHERE event.creator_id = %(creator)s AND event.subscription_id IN (SELECT id FROM looked_at)
     GROUP BY event.subscription_id, asked.number
), lives AS (
    SELECT currency, bit_or(pays | coalesce(paid << number, 0)) AS bits
      FROM looked_at LEFT JOIN was ON was.subscription_id = looked_at.id
     GROUP BY currency, reader
)
SELECT currency, bits, count(*) FROM lives GROUP BY currency, bits
 UNION ALL
SELECT currency, NULL, count(*)
  FROM (SELECT DISTINCT currency, reader FROM mine WHERE pays = 1) AS readers
 GROUP BY currency
"""


@dataclass(frozen=True)
class Group:
    """So many readers who were alike: whether they paid at each of the moments asked for, and do now."""

    readers: int
    paid: list[bool]
    pays_now: bool


def at(creator: User, moments: Sequence[datetime], *, by_currency: bool = True) -> dict[str, list[Group]]:
    """The readers who paid at one of the moments or pay now, by currency, in groups of the same answers.

    With `by_currency` off a reader is one whatever they paid in, and the only currency is "".
    """
    values: dict[str, Any] = {
        "creator": creator.pk,
        "by_currency": by_currency,
        "earliest": min(moments),
        "moments": list(moments),
    }
    with connection.cursor() as cursor:
        cursor.execute(PAYERS, values)
        rows = cursor.fetchall()
    found: dict[str, list[Group]] = {currency: [] for currency, *_ in rows}
    steady = {currency: readers for currency, bits, readers in rows if bits is None}
    for currency, bits, readers in rows:
        if bits:
            pays_now, *paid = (bool(bits >> place & 1) for place in range(len(moments) + 1))
            found[currency].append(Group(readers, paid, pays_now))
            steady[currency] = steady.get(currency, 0) - readers * pays_now
    for currency, readers in steady.items():
        if readers:
            found[currency].append(Group(readers, [True] * len(moments), pays_now=True))
    return found
