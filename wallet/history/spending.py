"""What a wallet's credits were spent on."""

from dataclasses import dataclass
from datetime import date

from django.db import connection

from foundation.calendar import end_of, start_of
from wallet.books.places import cuts
from wallet.prices.models import Rate

CHOICES_MAX = 100
# How many of the newest entries are read for choices. No index holds the products and features of a wallet,
# because every index makes each charge slower. Reading these takes a few milliseconds.
ENTRIES_LOOKED_THROUGH = 10_000

# Credits given back count on the day of their charge. The LIMIT makes each search for a charge one index
# lookup: the planner cannot know how few there are.
SPENT = """
SELECT product, feature, sum(units)::bigint, sum(credits)::bigint
  FROM (SELECT product, feature, count AS units, -credits AS credits
          FROM wallet_entry
         WHERE wallet_id = %(user_id)s AND sequence > %(first)s AND sequence <= %(last)s
           AND kind IN ('deduct', 'capture')
         UNION ALL
        SELECT charge.product, charge.feature, 0, -back.credits
          FROM wallet_entry back, LATERAL (
               SELECT product, feature, sequence FROM wallet_entry WHERE id = back.reverses_id LIMIT 1) charge
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
    """One feature of one product over some days: units charged, and credits as a positive number.

    `credits` is what the charges took, less what was given back of them at any time. `label` is from the
    rate table, or the feature itself if it has no rate. `share_percent` is 0 to 100, of all rows together.
    """

    product: str
    feature: str
    label: str
    units: int
    credits: int
    share_percent: int


@dataclass(frozen=True)
class Choices:
    """The products and features that a history can be filtered by, in alphabetical order."""

    products: list[str]
    features: list[str]


def by_feature(*, user_id: str, first_day: date, last_day: date) -> list[Spending]:
    """What was charged on these UTC days, both included, the most credits first.

    A feature that was given back in whole is left out. The shares are whole percents that add up to 100.
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
    """Each positive part's share in whole percents that add up to 100: the largest fractions round up.

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
    """The products and features of the wallet's newest 10,000 entries, at most 100 each."""
    with connection.cursor() as cursor:
        cursor.execute(OCCURRING, {"user_id": user_id, "entries": ENTRIES_LOOKED_THROUGH})
        pairs = cursor.fetchall()
    products, features = ({pair[side] for pair in pairs} - {""} for side in (0, 1))
    return Choices(sorted(products)[:CHOICES_MAX], sorted(features)[:CHOICES_MAX])
