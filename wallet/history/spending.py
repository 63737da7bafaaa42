"""Find out what a wallet's credits were spent on."""

from dataclasses import dataclass
from datetime import date

from django.db import connection

from foundation.calendar import end_of, start_of
from wallet.books.places import cuts
from wallet.prices.models import Rate

CHOICES_MAX = 100
# The choices of the filters come from this many of the newest entries. Reading them takes a few milliseconds.
# An index on the products and features of a wallet would be faster, but it would make each charge slower.
ENTRIES_LOOKED_THROUGH = 10_000

# Credits that were given back count on the day of their charge. The LIMIT makes PostgreSQL find each charge
# with one index lookup. Without the LIMIT, the planner could choose a slower plan, because it does not know
# that few entries give credits back.
SPENT = """
SELECT product, feature, sum(units)::bigint, sum(credits)::bigint
  FROM (SELECT product, feature, count AS units, -credits AS credits
          FROM wallet_entry
         WHERE wallet_id = %(user_id)s AND sequence > %(first)s AND sequence <= %(last)s
           AND kind IN ('deduct', 'capture')
         UNION ALL
        SELECT charge.product, charge.feature, 0, -back.credits
          FROM wallet_entry back, LATERAL (
               SELECT product, feature, sequence FROM wallet_entry
                WHERE wallet_id = %(user_id)s AND id = back.reverses_id LIMIT 1) charge
         WHERE back.wallet_id = %(user_id)s AND back.sequence > %(first)s AND back.kind = 'refund'
           AND charge.sequence > %(first)s AND charge.sequence <= %(last)s) moves
 GROUP BY product, feature
HAVING sum(credits) > 0
 ORDER BY 4 DESC, product, feature
"""

OCCURRING = """
SELECT DISTINCT product, feature
  FROM (SELECT product, feature
          FROM wallet_entry
         WHERE wallet_id = %(user_id)s
         ORDER BY sequence DESC
         LIMIT %(entries)s) newest
"""


@dataclass(frozen=True)
class Spending:
    """What one feature of one product cost a user on the chosen days.

    `units` is the number of units charged. `credits` is a positive number: the credits that the charges took,
    minus all credits of these charges that were given back at any time. `label` comes from the rate table; it
    is the feature itself if the feature has no rate. `share_percent` (0 to 100) is the share of `credits` in
    the sum of all rows.
    """

    product: str
    feature: str
    label: str
    units: int
    credits: int
    share_percent: int


@dataclass(frozen=True)
class Choices:
    """The products and features that the filters of a history offer, in alphabetical order."""

    products: list[str]
    features: list[str]


def by_feature(*, user_id: str, first_day: date, last_day: date) -> list[Spending]:
    """Return the spending of these UTC days (both included), the feature with the most credits first.

    A feature is left out if all its credits were given back. The shares are whole percents and add up to 100.
    """
    first, last = cuts(user_id, [start_of(first_day), end_of(last_day)])
    with connection.cursor() as cursor:
        cursor.execute(SPENT, {"user_id": user_id, "first": first.sequence, "last": last.sequence})
        rows = cursor.fetchall()
    labels = dict(Rate.objects.filter(feature__in={row[1] for row in rows}).values_list("feature", "label"))
    percents = shares([credits for *_, credits in rows])
    return [
        Spending(product, feature, labels.get(feature) or feature, units, credits, percent)
        for (product, feature, units, credits), percent in zip(rows, percents, strict=True)
    ]


def shares(parts: list[int]) -> list[int]:
    """Return the share of each part in whole percents. The parts are positive.

    The shares add up to 100: those with the largest fractions are rounded up, all others are rounded down.

    >>> shares([1, 1, 1])
    [34, 33, 33]
    """
    total = sum(parts)
    percents = [part * 100 // total for part in parts]
    largest_fraction_first = sorted(range(len(parts)), key=lambda place: -(parts[place] * 100 % total))
    for place in largest_fraction_first[: 100 - sum(percents)]:
        percents[place] += 1
    return percents


def choices(user_id: str) -> Choices:
    """Return the products and features of the wallet's newest 10,000 entries, at most 100 of each."""
    with connection.cursor() as cursor:
        cursor.execute(OCCURRING, {"user_id": user_id, "entries": ENTRIES_LOOKED_THROUGH})
        pairs = cursor.fetchall()
    products, features = ({pair[side] for pair in pairs} - {""} for side in (0, 1))
    return Choices(sorted(products)[:CHOICES_MAX], sorted(features)[:CHOICES_MAX])
