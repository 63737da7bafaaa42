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
from monetization.models import Subscription

# `touched` are the readers with an event since the earliest moment. Only they can have started or stopped
# paying since then. All other readers who pay now paid at every moment.
#
# For each reader in `touched`, the query reads each subscription's status now, and its status after the last
# event up to each moment. A reader with two subscriptions who cancelled one of them still pays. The lowest
# bit of `bits` is whether the reader pays now. The next bits are whether the reader paid at each moment.
#
# This is one statement, so all of it reads the same snapshot of the database. The amounts are added up in
# another query: if they were in one query with count(DISTINCT reader), PostgreSQL would sort every row.
PAYERS = """
WITH not_filled AS (
    SELECT min(id) IS NOT NULL AS found
      FROM monetization_subscription WHERE mailbox IS NULL AND reader ~ %(other)s
), mine AS (
    SELECT id, CASE WHEN %(by_currency)s THEN currency ELSE '' END AS currency,
           coalesce(mailbox, reader) AS reader,
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
SELECT currency, bits, count(*), (SELECT found FROM not_filled) FROM lives GROUP BY currency, bits
 UNION ALL
SELECT currency, NULL, count(*), (SELECT found FROM not_filled)
  FROM (SELECT DISTINCT currency, reader FROM mine WHERE pays = 1) AS readers
 GROUP BY currency
"""


@dataclass(frozen=True)
class Group:
    """A number of readers who paid at the same moments.

    `paid` says for each moment whether these readers paid. `pays_now` says whether they pay now.
    """

    readers: int
    paid: list[bool]
    pays_now: bool


def at(creator: User, moments: Sequence[datetime], *, by_currency: bool = True) -> dict[str, list[Group]]:
    """Return, by currency, the groups of readers who paid at one of the moments or pay now.

    With `by_currency=False`, a reader who pays in two currencies counts once, and the only currency is "".
    """
    values: dict[str, Any] = {
        "creator": creator.pk,
        "by_currency": by_currency,
        "earliest": min(moments),
        "moments": list(moments),
    }
    rows = by_mailbox.rows(Subscription, PAYERS, values)
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
