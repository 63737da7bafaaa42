"""The balance over some days, to be drawn and read."""

from dataclasses import dataclass
from datetime import UTC, date, timedelta

from django.utils import timezone
from django.utils.dateformat import format as in_words

from foundation import money
from wallet.history import statements
from wallet.history.statements import DayBalance

# --- Days -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """Some days up to today: what they are called, how many, and how many days lie between two points."""

    name: str
    days: int
    step_days: int

    def first_day(self, today: date) -> date:
        """The first of the days; the last is today."""
        return today - timedelta(days=self.days - 1)


# A year of days would be a table of 365 rows; of weeks it can still be read.
RANGES = {"30d": Range("30 days", 30, 1), "90d": Range("90 days", 90, 1), "12m": Range("12 months", 365, 7)}
RANGE_DEFAULT = "30d"
# A day and a month as people write them, in the letters that the templates' `date` knows too.
DAY = "j F Y"


def today() -> date:
    """The calendar day in UTC."""
    return timezone.now().astimezone(UTC).date()


# --- The balance over time --------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """The balance at the end of a day."""

    day: date
    balance: str


@dataclass(frozen=True)
class Chart:
    """The balance over some days: its points, and what they tell in a sentence."""

    points: list[Point]
    sentence: str
    weekly: bool


def chart_of(user_id: str, shown: Range) -> Chart:
    """The balance at the end of each day, or each seventh day counted back from today."""
    last_day = today()
    days = statements.closing_balances(
        user_id=user_id, first_day=shown.first_day(last_day), last_day=last_day
    )
    drawn = days[:: -shown.step_days][::-1]
    # Of what is drawn, so that nobody looks for a day in the picture that is not in it.
    lowest, highest = min(drawn, key=_balance), max(drawn, key=_balance)
    weekly = shown.step_days > 1
    where = "at the weeks' ends " if weekly else ""
    sentence = (
        f"From {money.credits(drawn[0].balance)} on {in_words(drawn[0].day, DAY)} "
        f"to {money.credits(drawn[-1].balance)} today; {where}"
        f"lowest {money.plain(lowest.balance)}, highest {money.plain(highest.balance)}."
    )
    points = [Point(each.day, money.plain(each.balance)) for each in drawn]
    return Chart(points, sentence, weekly)


def _balance(day: DayBalance) -> int:
    return day.balance
