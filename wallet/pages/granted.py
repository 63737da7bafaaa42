"""The grants of a user, as pages show them: why, by which product, what is left of each, and until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from foundation.calendar import DAY, day_of, last_day_of
from wallet.books.funds import Funds, GrantFunds
from wallet.charges.models import Lot
from wallet.history import products

SHOWN_MAX = 20
SOON_DAYS = 7  # The page marks a grant that ends in so many days.
MISAR = "Misar"  # The name on the page for grants by staff.


@dataclass(frozen=True)
class Line:
    """A grant with credits left. `left` is what was not spent of `credits`; `held` is a part of it.

    `last_day` is the last UTC day on which it can be spent. `soon` says in words how near this day is; "" if
    it is not near. Of a grant that `has_ended`, only what holds have set aside is left.
    """

    reason: str
    by: str
    credits: int
    left: int
    held: int
    ends_at: datetime
    last_day: date
    soon: str
    has_ended: bool


@dataclass(frozen=True)
class Split:
    """How the balance, what is held, and what is available split into granted and paid credits.

    Lots never pay a debt, so paid credits can be below 0 beside granted ones.
    """

    granted: int
    granted_held: int
    paid: int
    paid_held: int

    @property
    def granted_available(self) -> int:
        return self.granted - self.granted_held

    @property
    def paid_available(self) -> int:
        return self.paid - self.paid_held


@dataclass(frozen=True)
class Granted:
    """The grants with credits left, the soonest end first, and how the user's credits split.

    `lines` has the first SHOWN_MAX grants. `others_count` and `others_credits` count the others.
    """

    split: Split
    lines: list[Line]
    others_count: int
    others_credits: int


def granted_of(funds: Funds) -> Granted | None:
    """Return the grants of a user; None if no grant has credits left."""
    if not funds.grants:
        return None
    shown, others = funds.grants[:SHOWN_MAX], funds.grants[SHOWN_MAX:]
    return Granted(
        split=split_of(funds),
        lines=_lines(funds, shown),
        others_count=len(others),
        others_credits=sum(grant.remaining for grant in others),
    )


def split_of(funds: Funds) -> Split:
    """Return how the credits of a user split into granted and paid ones."""
    held = sum(grant.held for grant in funds.grants)
    return Split(funds.granted, held, funds.paid, funds.held - held)


def _lines(funds: Funds, grants: Iterable[GrantFunds]) -> list[Line]:
    rows = Lot.objects.filter(wallet_id=funds.user_id, pk__in=[grant.id for grant in grants])
    lots = {lot.pk: lot for lot in rows}
    return [_line(lots[grant.id], grant, funds.at) for grant in grants]


def _line(lot: Lot, grant: GrantFunds, now: datetime) -> Line:
    has_ended = lot.ends_at <= now
    return Line(
        reason=grant.reason,
        by=products.name_of(grant.product) or MISAR,
        credits=lot.credits,
        left=grant.remaining,
        held=grant.held,
        ends_at=lot.ends_at,
        last_day=last_day_of(lot.ends_at),
        soon="" if has_ended else soon_in_words(lot.ends_at, today=day_of(now)),
        has_ended=has_ended,
    )


def soon_in_words(ends_at: datetime, *, today: date) -> str:
    """Return how near the last day of a grant is, if it is at most SOON_DAYS away; otherwise "".

    >>> from datetime import UTC
    >>> today, midnight = date(2026, 11, 29), datetime(2026, 11, 30, tzinfo=UTC)
    >>> [soon_in_words(midnight + DAY * days, today=today) for days in (0, 1, 7, 8)]
    ['today', 'tomorrow', 'in 7 days', '']
    >>> soon_in_words(datetime(2026, 11, 29, 9, 30, tzinfo=UTC), today=today)
    'today, 09:30'
    """
    days = (last_day_of(ends_at) - today) // DAY
    if days > SOON_DAYS:
        return ""
    if days == 0:
        return "today" if ends_at.time() == time.min else f"today, {ends_at:%H:%M}"
    return "tomorrow" if days == 1 else f"in {days} days"
