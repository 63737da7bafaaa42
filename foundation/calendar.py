"""Days and months in UTC."""

from datetime import UTC, date, datetime, time, timedelta

DAY = timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)  # The smallest difference between two times in PostgreSQL.
MONTHS_OF_A_YEAR = 12
# No record has a day outside this range, but a user may type such a day into a form.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)


def day_of(moment: datetime) -> date:
    """Return the UTC day of a moment."""
    return moment.astimezone(UTC).date()


def last_day_of(until: datetime) -> date:
    """Return the last UTC day of a period that ends just before `until`.

    If `until` is midnight, this is the day before.
    """
    return day_of(until - A_MOMENT)


def start_of(day: date) -> datetime:
    """Return the midnight, UTC, at which a day begins.

    A day before FIRST_DAY counts as FIRST_DAY, and a day after LAST_DAY counts as LAST_DAY.
    """
    return datetime.combine(min(max(day, FIRST_DAY), LAST_DAY), time.min, tzinfo=UTC)


def end_of(day: date) -> datetime:
    """Return the midnight, UTC, at which a day ends and the next day begins."""
    return start_of(day) + DAY


def add_months(first: date, months: int) -> date:
    """Return the first day of the month that is `months` later, or earlier if `months` is negative."""
    years, month = divmod(first.month - 1 + months, MONTHS_OF_A_YEAR)
    return date(first.year + years, month + 1, 1)


def written(day: date, *, today: date) -> str:
    """Return a day as text for a sentence. The year is left out if it is the year of `today`.

    >>> written(date(2026, 12, 31), today=date(2026, 6, 1)), written(date(2027, 1, 1), today=date(2026, 6, 1))
    ('31 December', '1 January 2027')
    """
    return f"{day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B} {day.year}"
