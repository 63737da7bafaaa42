"""A creator's figures over time, for charts.

A step is a day, a week, a month or a year. Tips, refunds and sponsors are 0 in a step without any. Each
series takes one or two queries; more rows do not need more queries. The sums of a series are equal to the
figures of stats.of_period().
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection
from django.db.models import Count, DateField, QuerySet, Sum
from django.db.models.functions import Trunc

from accounts.models import User
from foundation.calendar import MONTHS_OF_A_YEAR, add_months, day_of, start_of
from monetization.figures.periods import Period, Step, step_of, steps
from monetization.figures.stats import mrr_of
from monetization.models import Refund, Tip


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
    """Return the tips and refunds of each step of the period, oldest first. This takes two queries."""
    step = step_of(period)
    tips = Tip.objects.visible_to(creator).filter(currency=currency)
    given = _by_step(tips, period, step).annotate(
        count=Count("pk"), gross=Sum("gross_cents"), net=Sum("net_cents")
    )
    refunds = Refund.objects.filter(creator=creator, currency=currency)
    back = _by_step(refunds, period, step).annotate(amount=Sum("amount_cents"), fee=Sum("fee_returned_cents"))
    tips_of, refunds_of = ({row["step"]: row for row in rows} for rows in (given, back))
    nothing = {"count": 0, "gross": 0, "net": 0, "amount": 0, "fee": 0}
    points = []
    for begins, day, last_day in steps(period, step):
        row = nothing | tips_of.get(begins, {}) | refunds_of.get(begins, {})
        points.append(
            TipDay(day, last_day, row["count"], row["gross"], row["net"], row["amount"], row["fee"])
        )
    return points


def mrr_by_day(creator: User, currency: str, period: Period) -> list[MrrDay]:
    """Return MRR at the end of each step of the period, oldest first. This takes one query.

    Each point is a twelfth of the sum of all changes of the yearly amount recorded until then, rounded once.
    A later change, refund or erasure never changes an earlier point.
    """
    step = step_of(period)
    values: dict[str, Any] = {
        "creator": creator.pk,
        "currency": currency,
        "since": period.since,
        "until": period.until,
        "step": step,
    }
    with connection.cursor() as cursor:
        cursor.execute(DELTAS, values)
        deltas = dict(cursor.fetchall())
    yearly = deltas.get(None, 0)
    points = []
    for begins, day, last_day in steps(period, step):
        yearly += deltas.get(begins, 0)
        points.append(MrrDay(day, last_day, mrr_of(yearly)))
    return points


def income_by_month(
    creator: User, currency: str, *, at: datetime, months: int = MONTHS_OF_A_YEAR
) -> list[IncomeMonth]:
    """Return the income of `months` months, oldest first. The last one is the month of `at`.

    This takes one query.
    """
    last = day_of(at).replace(day=1)
    shown = [add_months(last, -back) for back in reversed(range(months))]
    values: dict[str, Any] = {
        "creator": creator.pk,
        "currency": currency,
        "since": start_of(shown[0]),
        "until": start_of(add_months(last, 1)),
    }
    with connection.cursor() as cursor:
        cursor.execute(INCOME, values)
        income = {month: (tips, sponsors) for month, tips, sponsors in cursor.fetchall()}
    return [IncomeMonth(month, *income.get(month, (0, 0))) for month in shown]


# The row with NULL as its day holds the sum of all changes before the period.
DELTAS = """
SELECT CASE WHEN created_at >= %(since)s
            THEN date_trunc(%(step)s, created_at AT TIME ZONE 'UTC')::date END,
       sum(yearly_cents_delta)::bigint
  FROM monetization_subscriptionevent
 WHERE creator_id = %(creator)s AND created_at < %(until)s AND currency = %(currency)s
 GROUP BY 1
"""
INCOME = """
SELECT date_trunc('month', moment AT TIME ZONE 'UTC')::date, sum(tips)::bigint, sum(sponsors)::bigint
  FROM (SELECT created_at AS moment, net_cents AS tips, 0 AS sponsors
          FROM monetization_tip
         WHERE creator_id = %(creator)s AND currency = %(currency)s
           AND created_at >= %(since)s AND created_at < %(until)s
         UNION ALL
        SELECT created_at, fee_returned_cents - amount_cents, 0
          FROM monetization_refund
         WHERE creator_id = %(creator)s AND currency = %(currency)s
           AND created_at >= %(since)s AND created_at < %(until)s
         UNION ALL
        SELECT active_from, 0, coalesce(price_cents, 0)
          FROM monetization_sponsor
         WHERE creator_id = %(creator)s AND currency = %(currency)s AND cancelled_at IS NULL
           AND active_from >= %(since)s AND active_from < %(until)s) moves
 GROUP BY 1
"""


def _by_step(rows: QuerySet[Any], period: Period, step: Step) -> QuerySet[Any, dict[str, Any]]:
    within = rows.filter(created_at__gte=period.since, created_at__lt=period.until).order_by()
    begins = Trunc("created_at", step, output_field=DateField(), tzinfo=UTC)
    return within.annotate(step=begins).values("step")
