"""Budgets in plain Python: what was spent is counted anew each time, from the charges and the holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

# A charge or an open hold, as budgets see it: its product, when it was asked for, and its credits.
Spent = tuple[str, datetime, int]


@dataclass(frozen=True)
class BudgetRow:
    set_by: str  # "user" or "product".
    product: str  # "": over all products.
    period: str  # "day" or "month".
    credits: int
    alert_percent: int

    def applies_to(self, product: str) -> bool:
        return self.product in ("", product)

    def as_of(self, now: datetime, spendings: Iterable[Spent]) -> "BudgetNow":
        since, until = bounds(self.period, now)
        spent = sum(
            credits for product, at, credits in spendings if self.applies_to(product) and since <= at < until
        )
        return BudgetNow(self, spent, max(0, self.credits - spent), until)


@dataclass(frozen=True)
class BudgetNow:
    row: BudgetRow
    spent: int
    left: int
    resets_at: datetime

    @property
    def facts(self) -> tuple[Any, ...]:
        row = self.row
        figures = row.credits, self.spent, self.left, row.alert_percent, self.resets_at
        return row.set_by, row.product, row.period, *figures

    @property
    def place(self) -> tuple[Any, ...]:
        """The lowest is named in a refusal: the least left, then the latest reset, then the user's own."""
        row = self.row
        return self.left, -self.resets_at.timestamp(), row.set_by != "user", row.product, row.period

    @property
    def limited_by(self) -> dict[str, Any]:
        """What a refusal says of this budget."""
        row = self.row
        named = {"product": row.product} if row.product else {}
        figures = {"credits": row.credits, "spent": self.spent, "resetsAt": self.resets_at}
        return {"limit": "budget", "setBy": row.set_by, **named, "period": row.period, **figures}


def bounds(period: str, now: datetime) -> tuple[datetime, datetime]:
    """The beginning and the end of the UTC day or month that `now` is in."""
    day = now.date()
    first = day if period == "day" else day.replace(day=1)
    after = first + timedelta(days=1) if period == "day" else (first + timedelta(days=31)).replace(day=1)
    return datetime.combine(first, time(), UTC), datetime.combine(after, time(), UTC)


def limited_by(budgets: Iterable[BudgetNow]) -> dict[str, Any]:
    """What a refusal says: the budget with the least left, and of several the one that resets last."""
    return min(budgets, key=lambda budget: budget.place).limited_by
