"""Find out what a wallet's credits were spent on."""

from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.db import connection

from foundation.calendar import end_of, start_of
from wallet.books.places import cuts
from wallet.prices.units import Feature, features

CHOICES_MAX = 100
# The pace is that of so many days. A forecast from fewer than PACE_DAYS_MIN days would be a guess.
PACE_DAYS = 30
PACE_DAYS_MIN = 7
# The choices of the filters come from this many of the newest entries. Reading them takes a few milliseconds.
# An index on the products and features of a wallet would be faster, but it would make each charge slower.
ENTRIES_LOOKED_THROUGH = 10_000

# What the charges of a range of the sequence took, and what was given back of these charges at any time.
# Credits that were given back count on the day of their charge. The LIMIT makes PostgreSQL find each charge
# with one index lookup. Without the LIMIT, the planner could choose a slower plan, because it does not know
# that few entries give credits back.
MOVES = """
  FROM (SELECT product, feature, sequence, count AS units, -credits AS credits
          FROM wallet_entry
         WHERE wallet_id = %(user_id)s AND sequence > %(first)s AND sequence <= %(last)s
           AND kind IN ('deduct', 'capture')
         UNION ALL
        SELECT charge.product, charge.feature, charge.sequence, 0, -back.credits
          FROM wallet_entry back, LATERAL (
               SELECT product, feature, sequence FROM wallet_entry
                WHERE wallet_id = %(user_id)s AND id = back.reverses_id LIMIT 1) charge
         WHERE back.wallet_id = %(user_id)s AND back.sequence > %(first)s AND back.kind = 'refund'
           AND charge.sequence > %(first)s AND charge.sequence <= %(last)s) moves
"""
SPENT = f"""
SELECT product, feature, sum(units)::bigint, sum(credits)::bigint {MOVES}
 GROUP BY product, feature
HAVING sum(credits) > 0
 ORDER BY 4 DESC, product, feature
"""
# The same in all, since the beginning of the month and lately, and the time of the wallet's first entry.
SPENT_SINCE = f"""
SELECT coalesce(sum(credits) FILTER (WHERE sequence > %(month)s), 0)::bigint,
       coalesce(sum(credits) FILTER (WHERE sequence > %(lately)s), 0)::bigint,
       (SELECT created_at FROM wallet_entry WHERE wallet_id = %(user_id)s AND sequence = 1) {MOVES}
"""  # noqa: S608

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

    `units` is the number of units charged, and `count` is the same in the words of a page: "3,000 emails".
    `credits` is a positive number: the credits that the charges took, minus all credits of these charges that
    were given back at any time. `label` comes from the rate table; it is the feature itself if the feature
    has no rate. `share_percent` (0 to 100) is the share of `credits` in the sum of all rows.
    """

    product: str
    feature: str
    label: str
    units: int
    count: str
    credits: int
    share_percent: int


@dataclass(frozen=True)
class Pace:
    """How fast a user spends. Amounts are in credits.

    `this_month` is what was spent since the first day of the month. `lately` is what was spent in the last
    `days` days with today (1 to PACE_DAYS): fewer than PACE_DAYS if the wallet's first entry is newer.
    """

    this_month: int
    lately: int
    days: int

    def lasts_days(self, available: int) -> int | None:
        """Return for how many whole days these credits last at this pace.

        None if there is nothing to spend, nothing was spent lately, or the history is too short to say.
        """
        if available <= 0 or self.lately <= 0 or self.days < PACE_DAYS_MIN:
            return None
        return available * self.days // self.lately


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
    described = features(row[1] for row in rows)
    percents = shares([credits for *_, credits in rows])
    spendings = []
    for (product, feature, units, credits), percent in zip(rows, percents, strict=True):
        of = described.get(feature, Feature(feature))
        spendings.append(
            Spending(product, feature, of.priced_label, units, of.count_of(units), credits, percent)
        )
    return spendings


def pace(user_id: str, *, today: date) -> Pace:
    """Return how fast a user spends. Days are in UTC; a wallet without entries has spent nothing in 1 day."""
    first_days = today.replace(day=1), today - timedelta(days=PACE_DAYS - 1)
    month, lately, last = (cut.sequence for cut in cuts(user_id, [*map(start_of, first_days), end_of(today)]))
    values = {"month": month, "lately": lately, "first": min(month, lately), "last": last}
    with connection.cursor() as cursor:
        cursor.execute(SPENT_SINCE, {"user_id": user_id, **values})
        this_month, spent_lately, began = cursor.fetchone()
    age = (today - began.astimezone(UTC).date()).days + 1 if began else 1
    return Pace(this_month, spent_lately, min(PACE_DAYS, max(1, age)))


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
