"""The counters of budgets: what products charged a user in a UTC day or month, and what is left of it.

A charge must keep every budget that applies to it: those of the user over all products and for this product,
and the product's own, each by day and by month (at most six). Each budget is its own counter, which is read
and written only under the wallet's lock, so it is exact when requests race.

A charge counts in the period in which it was asked for: a deduct when it was written, a capture when its hold
was made. What is given back of a charge lowers the period of the charge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import BigIntegerField, Case, F, Value, When
from django.db.models.functions import Greatest

from foundation.calendar import add_months, day_of, end_of, start_of
from wallet.books.ledger import Standing
from wallet.charges.models import Budget
from wallet.errors import BudgetSpent

Period = Budget.Period


@dataclass(frozen=True)
class BudgetNow:
    """A budget in the period that is running. The figures are in credits."""

    user_id: str
    set_by: str
    product: str
    period: str
    credits: int
    spent: int
    alert_percent: int
    resets_at: datetime

    @property
    def left(self) -> int:
        """What can still be spent; 0 if more was spent than the budget allows."""
        return max(0, self.credits - self.spent)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The budget as a refusal names it (contract 35)."""
        facts: dict[str, Any] = {
            "limit": "budget",
            "setBy": self.set_by,
            "product": self.product,
            "period": self.period,
            "credits": self.credits,
            "spent": self.spent,
            "resetsAt": self.resets_at,
        }
        if not self.product:  # It is over all products.
            del facts["product"]
        return facts


def first_day(period: str, at: datetime) -> date:
    """Return the first UTC day of the period that this time is in."""
    day = day_of(at)
    return day if period == Period.DAY else day.replace(day=1)


def end(period: str, starts: date) -> datetime:
    """Return the time at which the period that begins on this day ends."""
    return end_of(starts) if period == Period.DAY else start_of(add_months(starts, 1))


def budget_at(budget: Budget, now: datetime) -> BudgetNow:
    """Return a budget as it is at this time."""
    # If the clock was set back, the counter is ahead. It never goes back to an earlier period.
    starts = max(first_day(budget.period, now), budget.starts)
    return BudgetNow(
        user_id=budget.wallet_id,
        set_by=budget.set_by,
        product=budget.product,
        period=budget.period,
        credits=budget.credits,
        spent=budget.spent - budget.overdue_credits if budget.starts == starts else 0,
        alert_percent=budget.alert_percent,
        resets_at=end(budget.period, starts),
    )


def require_room(budgets: Iterable[BudgetNow], *, available: int, required: int, lapsed: int = 0) -> None:
    """Raise BudgetSpent if a budget has less left than is required, and less than is available.

    It names the budget with the least left; of several, the one that resets last. Of those that reset at one
    time, it names the first in the order of `budgets_of`: the user's own before that of a product. (On the
    last day of a month, budgets by day and by month reset at one time.)
    """
    tight = [budget for budget in budgets if budget.left < min(available, required)]
    if tight:
        tightest = min(tight, key=_tightness)
        raise BudgetSpent(tightest.facts, available=tightest.left, required=required, lapsed=lapsed)


def _tightness(budget: BudgetNow) -> tuple[int, float, bool, str, str]:
    is_products = budget.set_by == Budget.SetBy.PRODUCT
    return budget.left, -budget.resets_at.timestamp(), is_products, budget.product, budget.period


def count(read: Standing, product: str, credits: int) -> None:
    """Count a charge or a hold of this moment in the budgets that it must keep."""
    if read.budgets:
        days = [When(period=period, then=Value(first_day(period, read.now))) for period in Period.values]
        running = Case(*days)
        # If the clock was set back, the counter may be of a later period, to which this does not belong.
        Budget.objects.that_can_refuse(read.user_id, product).update(
            spent=Case(
                When(starts=running, then=F("spent") + credits),
                When(starts__gt=running, then=F("spent")),
                default=Value(credits),
                output_field=BigIntegerField(),
            ),
            starts=Greatest(F("starts"), running),
        )


def uncount(read: Standing, product: str, credits: int, *, asked_at: datetime) -> None:
    """Take credits that came back off the period in which they were asked for, if it is still counted."""
    if read.budgets and credits:
        for period in Period.values:
            counted = Budget.objects.that_can_refuse(read.user_id, product)
            counted = counted.filter(period=period, starts=first_day(period, asked_at))
            counted.update(spent=F("spent") - credits)
