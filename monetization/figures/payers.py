"""Which readers paid when: for subscribers, churn, and how many came and left.

A reader pays while one of their subscriptions is active or past due, and is known by the address in lower
case, or by the stand-in that took its place when the reader was erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import User

# Only readers with an event since the earliest moment can have come or gone; all others who pay now paid at
# each of the moments. Of those with one, each subscription is read as it is now and as its last event by each
# moment left it: a reader with two subscriptions, of which one is cancelled, still pays. A reader's lowest
# bit is whether they pay now, the next ones whether they paid at each moment. One statement, which sees one
# moment of the database; the sums of money are another one, since count(DISTINCT reader) beside them would
# sort every row.
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
), lives AS (
    SELECT currency, bit_or(pays | coalesce(last.paid << moments.number::int, 0)) AS bits
      FROM looked_at
     CROSS JOIN unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS moments (moment, number)
      LEFT JOIN LATERAL (
           SELECT (event.status IN ('active', 'past_due'))::int AS paid
             FROM monetization_subscriptionevent event
            WHERE event.subscription_id = looked_at.id AND event.created_at <= moments.moment
            ORDER BY event.id DESC LIMIT 1) AS last ON true
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
    """How many readers share these answers: whether they paid at each of the moments, and do now."""

    readers: int
    paid: list[bool]
    pays_now: bool


def at(creator: User, moments: Sequence[datetime], *, by_currency: bool = True) -> dict[str, list[Group]]:
    """The readers who paid at one of the moments or pay now, by currency, in groups of the same answers.

    With `by_currency` off, a reader who pays in two currencies counts once, and the only currency is "".
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
    groups: dict[str, list[Group]] = {currency: [] for currency, *_ in rows}
    steady = {currency: readers for currency, bits, readers in rows if bits is None}
    for currency, bits, readers in rows:
        if bits:
            pays_now, *paid = (bool(bits >> place & 1) for place in range(len(moments) + 1))
            groups[currency].append(Group(readers, paid, pays_now))
            steady[currency] = steady.get(currency, 0) - readers * pays_now
    for currency, readers in steady.items():
        if readers:
            groups[currency].append(Group(readers, [True] * len(moments), pays_now=True))
    return groups
