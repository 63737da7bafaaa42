"""The chart of a user's balance. It comes with a sentence and a table of the same numbers."""

from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from django.utils import timezone

from foundation import money
from foundation.charts import Cell, Chart, Column, Row, Table
from foundation.words import day_words
from wallet.history import statements


@dataclass(frozen=True)
class Range:
    """A range of days that ends today. The chart has a point every `step_days` days."""

    name: str
    days: int
    step_days: int

    def first_day(self, today: date) -> date:
        """Return the first day of the range."""
        return today - timedelta(days=self.days - 1)


# A table with 365 days is too long to read, so a year is shown in weeks.
RANGES = {"30d": Range("30 days", 30, 1), "90d": Range("90 days", 90, 1), "12m": Range("12 months", 365, 7)}
RANGE_DEFAULT = "30d"


def today() -> date:
    """Return today's date in UTC."""
    return timezone.now().astimezone(UTC).date()


def chart_of(user_id: str, shown: Range, *, now: int) -> Chart:
    """Return a chart of the balance at the end of each day, or of every seventh day if a year is shown.

    Its last point is the balance now: the last entry may still count credits of grants that have ended.
    """
    last_day = today()
    days = statements.closing_balances(
        user_id=user_id, first_day=shown.first_day(last_day), last_day=last_day
    )
    days[-1] = replace(days[-1], balance=now)
    drawn = days[:: -shown.step_days][::-1]
    # The lowest and the highest balance in the sentence come from the drawn points only, so both can be seen
    # in the chart.
    balances = [each.balance for each in drawn]
    weekly = shown.step_days > 1
    sentence = (
        f"From {money.credits(balances[0])} on {day_words(drawn[0].day)} "
        f"to {money.credits(balances[-1])} today; "
        f"lowest {money.plain(min(balances))}, highest {money.plain(max(balances))}"
        f"{' at the end of a week' if weekly else ''}."
    )
    rows = [Row(day_words(each.day), [Cell(money.plain(each.balance))], each.day) for each in drawn]
    return Chart(
        title="Balance",
        sentence=sentence,
        caption=f"Balance at the end of each {'week' if weekly else 'day'}, in credits; days are UTC",
        table=Table("Day, UTC", [Column("Balance")], rows),
        drawn="line" if weekly else "steps",
    )
