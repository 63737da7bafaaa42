"""A creator's figures over time, for charts.

A step is a day, a week, a month or a year. Tips, refunds and sponsors are 0 in a step without any. Each
series takes one or two queries; more rows do not need more queries. The sums of a series are equal to the
figures of stats.of_period().
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import accumulate

from django.db.models import DateField, Max, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Greatest, Trunc, TruncMonth

from accounts.models import User
from foundation.calendar import DAY, MONTHS_OF_A_YEAR, add_months, day_of
from monetization.figures import sums
from monetization.figures.periods import Period, before, step_of, steps
from monetization.figures.stats import mrr_of
from monetization.figures.sums import Sums
from monetization.models import ClosedDay, DayTotal, Sponsor

# Days are closed every night. If more days are open, closing was late, and the points are not known.
OPEN_DAYS_MAX = 2


@dataclass(frozen=True)
class TipDay:
    """The tips and the refunds of one step, in the currency's smallest unit.

    Gross and net are sums over the tips recorded in the step. Refunds count in the step in which they were
    made, even if the tip is older. `day` and `last_day` are the first and last UTC day of the step within the
    period. They are equal if the step is a day.
    """

    day: date
    last_day: date
    tips: int = 0
    gross_cents: int = 0
    net_cents: int = 0
    refunded_cents: int = 0
    fee_returned_cents: int = 0

    @property
    def net_after_refunds_cents(self) -> int:
        """What the creator keeps of the tips. It is below 0 if refunds took more than tips brought."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


@dataclass(frozen=True)
class MrrDay:
    """MRR at the end of one step, in the currency's smallest unit.

    If the step has not ended, `mrr_cents` is the MRR now.
    """

    day: date
    last_day: date
    mrr_cents: int


@dataclass(frozen=True)
class StepBefore:
    """Of a step of the period before: the gross amount of tips, and MRR at its end, in the smallest unit."""

    gross_cents: int
    mrr_cents: int


@dataclass(frozen=True)
class IncomeMonth:
    """The income of one UTC month, in the currency's smallest unit. `month` is its first day.

    `tips_net_cents` is the sum of the tips minus the platform's fee and minus the refunds made in this month.
    It can be below 0. `sponsors_booked_cents` is the price of the placements that begin in this month and
    were not cancelled. Placements that begin later in the month count too. The price was agreed, but
    perhaps not paid. What subscribers pay is in neither figure, because their payments are not recorded.
    """

    month: date
    tips_net_cents: int = 0
    sponsors_booked_cents: int = 0


def tips_by_day(creator: User, currency: str, period: Period) -> list[TipDay]:
    """Return the tips and refunds of each step of the period, oldest first. This takes one query."""
    step = step_of(period)
    by_step = sums.by_step(creator, currency, period, step)
    points = []
    for begins, day, last_day in steps(period, step):
        tips = by_step.get(begins, Sums())
        points.append(
            TipDay(
                day,
                last_day,
                tips.tips,
                tips.gross_cents,
                tips.net_cents,
                tips.refunded_cents,
                tips.fee_returned_cents,
            )
        )
    return points


def mrr_by_day(creator: User, currency: str, period: Period) -> list[MrrDay]:
    """Return MRR at the end of each step of the period, oldest first. This takes one query.

    Each point is a twelfth of the sum of all changes of the yearly amount recorded until then, rounded once.
    A later change, refund or erasure never changes an earlier point.
    """
    step = step_of(period)
    by_step = sums.by_step(creator, currency, period, step)
    yearly = by_step.get(None, Sums()).yearly_cents
    points = []
    for begins, day, last_day in steps(period, step):
        yearly += by_step.get(begins, Sums()).yearly_cents
        points.append(MrrDay(day, last_day, mrr_of(yearly)))
    return points


def steps_before(creator: User, currency: str, period: Period) -> list[StepBefore]:
    """Return for each step of the period what the period before had as many days earlier, oldest first.

    The list is empty if there is no period before. This takes one query.
    """
    earlier = before(period)
    if earlier is None:
        return []
    step = step_of(period)
    by_step = sums.by_step(creator, currency, earlier, step, days_later=period.days)
    yearly = by_step.get(None, Sums()).yearly_cents
    points = []
    for begins, _, _ in steps(period, step):
        found = by_step.get(begins, Sums())
        yearly += found.yearly_cents
        points.append(StepBefore(found.gross_cents, mrr_of(yearly)))
    return points


def booked_by_day(creator: User, currency: str, period: Period) -> list[int]:
    """Return the prices of the placements that begin in each step of the period, oldest first.

    Cancelled placements are left out. This takes one query.
    """
    step = step_of(period)
    begun = _booked(creator, currency, period).annotate(
        step=Trunc("active_from", step, output_field=DateField(), tzinfo=UTC)
    )
    prices = dict(begun.values_list("step").annotate(price=Coalesce(Sum("price_cents"), 0)))
    return [prices.get(begins, 0) for begins, _, _ in steps(period, step)]


def payers_by_day(creator: User, currency: str, period: Period, *, at_end: int) -> list[int]:
    """Return how many readers pay at the end of each step of the period, oldest first.

    They are read from the totals of closed days. `at_end` is the number at the end of the period, or now: the
    last point. The list is empty if more than OPEN_DAYS_MAX days of the period are not closed yet. This takes
    two queries.
    """
    closed = last_closed_day()
    if closed is None or (period.last_day - closed).days > OPEN_DAYS_MAX:
        return []
    last_days = [last_day for _, _, last_day in steps(period, step_of(period))]
    return [*paying_at_the_end_of(creator, currency, last_days)[:-1], at_end]


def last_closed_day() -> date | None:
    """Return the last day whose totals are stored; None if no day is closed. This takes one query."""
    day: date | None = ClosedDay.objects.aggregate(last=Max("day"))["last"]
    return day


def paying_at_the_end_of(creator: User, currency: str, days: Sequence[date]) -> list[int]:
    """Return how many readers pay at the end of each of these days, by the totals of closed days.

    The days must be sorted. An open day has the number of the last closed day. This takes one query.
    """
    totals = DayTotal.objects.filter(creator=creator, currency=currency, day__lte=days[-1]).order_by()
    # The changes of all days up to the first are one row.
    deltas = totals.values_list(Greatest("day", Value(days[0]))).annotate(delta=Sum("payers_delta"))
    moves = [0] * len(days)
    for day, delta in deltas:
        moves[bisect_left(days, day)] += delta
    return list(accumulate(moves))


def income_by_month(
    creator: User, currency: str, *, at: datetime, months: int = MONTHS_OF_A_YEAR
) -> list[IncomeMonth]:
    """Return the income of `months` months, oldest first. The last one is the month of `at`.

    This takes two queries.
    """
    last = day_of(at).replace(day=1)
    shown = [add_months(last, -back) for back in reversed(range(months))]
    period = Period("", shown[0], add_months(last, 1) - DAY, "")
    by_month = sums.by_step(creator, currency, period, "month")
    begins = TruncMonth("active_from", output_field=DateField(), tzinfo=UTC)
    months_of = _booked(creator, currency, period).annotate(month=begins).values_list("month")
    booked = dict(months_of.annotate(price=Coalesce(Sum("price_cents"), 0)))
    return [
        IncomeMonth(month, by_month.get(month, Sums()).net_after_refunds_cents, booked.get(month, 0))
        for month in shown
    ]


def _booked(creator: User, currency: str, period: Period) -> QuerySet[Sponsor]:
    booked = Sponsor.objects.visible_to(creator).booked().filter(currency=currency)
    return booked.filter(active_from__gte=period.since, active_from__lt=period.until).order_by()
