"""What was spent this month, and for how long the balance lasts, in the words of the wallet page."""

from dataclasses import dataclass
from datetime import date

from foundation.words import count
from wallet.books.funds import Funds
from wallet.history import spending
from wallet.history.spending import PACE_DAYS_MIN, Pace

A_YEAR_DAYS = 365


@dataclass(frozen=True)
class Paced:
    """What was spent since the first of the month, in credits, and how long the available credits last.

    `lasts` is such as "About 23 days"; "" if nothing can be said. `note` says at which pace, or why not.
    """

    today: date
    spent: int
    lasts: str
    note: str


def paced_of(funds: Funds, *, today: date) -> Paced:
    """Return the pace of a user. A frozen wallet, and one with nothing to spend, gets no forecast."""
    pace = spending.pace(funds.user_id, today=today)
    days = None if funds.frozen else pace.lasts_days(funds.available)
    if days is None:
        can_spend = funds.available > 0 and not funds.frozen
        return Paced(today, pace.this_month, "", _why_not(pace) if can_spend else "")
    return Paced(today, pace.this_month, in_words(days), f"at the pace of the last {pace.days} days")


def _why_not(pace: Pace) -> str:
    if pace.days < PACE_DAYS_MIN:
        return f"How long your balance lasts is shown after {PACE_DAYS_MIN} days."
    return f"Nothing was spent in the last {pace.days} days."


def in_words(days: int) -> str:
    """Return for how long a balance lasts.

    >>> [in_words(days) for days in (0, 1, 23, 365, 366)]
    ['Less than a day', 'About 1 day', 'About 23 days', 'About 365 days', 'More than a year']
    """
    if days > A_YEAR_DAYS:
        return "More than a year"
    if not days:
        return "Less than a day"
    return f"About {count(days, 'day')}"
