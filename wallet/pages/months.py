"""What the list of statements and one statement say."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.utils.dateformat import format as in_words

from foundation import money
from wallet.history import statements
from wallet.history.statements import MonthlyStatement
from wallet.pages.chart import today
from wallet.pages.tables import KIND_NAMES

MONTH = "F Y"


def month_at(text: str) -> date | None:
    """The first day of a month written 2026-10; None for anything else, and for one that has not begun."""
    try:
        first_day = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    # strptime is lenient (2026-1), and an address has one spelling.
    if f"{first_day:%Y-%m}" != text or first_day > today() or first_day.year < 2000:
        return None
    return first_day


# --- A month ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthLink:
    """A month in the list of statements; `address` is its part of the address, 2026-10."""

    name: str
    address: str
    is_running: bool


@dataclass(frozen=True)
class Year:
    """The months of one year."""

    number: int
    months: list[MonthLink]


@dataclass(frozen=True)
class Neighbours:
    """The months with a statement on both sides of one; None where there is none."""

    previous: MonthLink | None
    next: MonthLink | None


def neighbours_of(user_id: str, first_day: date) -> Neighbours:
    """The nearest months before and after this one that have a statement."""
    months = statements.months(user_id)
    previous = max((month for month in months if month < first_day), default=None)
    following = min((month for month in months if month > first_day), default=None)
    return Neighbours(
        previous=_link_to(previous) if previous else None, next=_link_to(following) if following else None
    )


def years_of(user_id: str) -> list[Year]:
    """The months that have a statement by their years, newest first."""
    years: dict[int, list[MonthLink]] = {}
    for month in statements.months(user_id):
        years.setdefault(month.year, []).append(_link_to(month))
    return [Year(number, months) for number, months in years.items()]


def _link_to(month: date) -> MonthLink:
    running = today().replace(day=1)
    return MonthLink(in_words(month, MONTH), f"{month:%Y-%m}", is_running=month == running)


@dataclass(frozen=True)
class Figure:
    """A name and an amount of credits."""

    name: str
    credits: str
    entries: str = ""
    unit: str = "credits"


@dataclass(frozen=True)
class DayRow:
    """A day with entries: what came in, what went out, and what it left."""

    day: date
    added: str
    taken: str
    closing: str


def month_totals(made: MonthlyStatement) -> list[Figure]:
    """From the opening balance to the closing one."""
    return [
        Figure("Opening balance", money.plain(made.opening), unit=money.unit(made.opening)),
        Figure("Added", money.signed(made.added) if made.added else "0", unit=money.unit(made.added)),
        Figure("Taken", money.signed(-made.taken) if made.taken else "0", unit=money.unit(made.taken)),
        Figure("Closing balance", money.plain(made.closing), unit=money.unit(made.closing)),
    ]


def kind_rows(made: MonthlyStatement) -> list[Figure]:
    """What moved the balance, by kind."""
    return [
        Figure(KIND_NAMES[each.kind], money.signed(each.credits), f"{each.entries:,}")
        for each in made.by_kind
    ]


def day_rows(made: MonthlyStatement) -> list[DayRow]:
    """A line for each day with entries, in place of a list too long to print."""
    return [
        DayRow(
            day=each.day,
            added=money.signed(each.added) if each.added else "",
            taken=money.signed(-each.taken) if each.taken else "",
            closing=money.plain(each.closing),
        )
        for each in made.days
    ]
