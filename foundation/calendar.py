"""Days and months in UTC."""

from datetime import UTC, date, datetime, time, timedelta

DAY = timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)  # PostgreSQL's smallest step.
MONTHS_OF_A_YEAR = 12
# Nothing is recorded outside these; a day typed into a form may be.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)


def day_of(moment: datetime) -> date:
    """The UTC day on which a moment lies."""
    return moment.astimezone(UTC).date()


def last_day_of(until: datetime) -> date:
    """The last UTC day of a half-open period that ends at `until`: midnight belongs to the day before."""
    return day_of(until - A_MOMENT)


def start_of(day: date) -> datetime:
    """The midnight, UTC, at which a day begins; a day outside FIRST_DAY to LAST_DAY counts as the nearest."""
    return datetime.combine(min(max(day, FIRST_DAY), LAST_DAY), time.min, tzinfo=UTC)


def end_of(day: date) -> datetime:
    """The midnight, UTC, at which a day ends and the next one begins."""
    return start_of(day) + DAY


def add_months(first: date, months: int) -> date:
    """The first day of the month that is `months` later, or earlier if negative."""
    years, month = divmod(first.month - 1 + months, MONTHS_OF_A_YEAR)
    return date(first.year + years, month + 1, 1)


def written(day: date, *, today: date) -> str:
    """A day as in a sentence, with its year unless that is this year.

    >>> written(date(2026, 12, 31), today=date(2026, 6, 1)), written(date(2027, 1, 1), today=date(2026, 6, 1))
    ('31 December', '1 January 2027')
    """
    return f"{day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B} {day.year}"
