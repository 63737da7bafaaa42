"""The span of days that figures are of: whole days in UTC, both ends included, today's too.

A period is named in the page's address: `7d`, `30d` and `90d` are so many days, `12m` is a year to the day,
and `all` begins with the first thing recorded.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from accounts.models import User
from foundation.calendar import DAY, day_of, start_of

RANGES = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "12m": "12 months", "all": "all time"}
RANGE_DEFAULT = "30d"
# Nothing here is older, whatever a placement says that was recorded afterwards: all time begins here at most.
FIRST_DAY = date(2000, 1, 1)
DAYS = {"7d": 7, "30d": 30, "90d": 90}

# Each is one look into an index. A placement counts where it begins, which may be before it was recorded.
FIRST_RECORD = """
SELECT least((SELECT min(created_at) FROM monetization_tip WHERE creator_id = %(creator)s),
             (SELECT min(created_at) FROM monetization_subscription WHERE creator_id = %(creator)s),
             (SELECT min(active_from) FROM monetization_sponsor
               WHERE creator_id = %(creator)s AND cancelled_at IS NULL))
"""


@dataclass(frozen=True)
class Period:
    """Some UTC days, both included. `name` is one of RANGES, or one that the API knows.

    `label` fits behind "in": "the last 30 days".
    """

    name: str
    first_day: date
    last_day: date
    label: str

    @property
    def since(self) -> datetime:
        """The midnight at which the first day begins."""
        return start_of(self.first_day)

    @property
    def until(self) -> datetime:
        """The midnight at which the last day ends; no longer within the period."""
        return start_of(self.last_day) + DAY

    @property
    def days(self) -> int:
        """How many, at least 1."""
        return (self.last_day - self.first_day).days + 1


def period_of(creator: User, name: str, *, at: datetime) -> Period:
    """The period of one of RANGES that ends with the day of `at`; of RANGE_DEFAULT for any other name.

    `all` begins with the day of the creator's first tip, subscription or placement, and is today alone where
    there is none.
    """
    name = name if name in RANGES else RANGE_DEFAULT
    today = day_of(at)
    if name in DAYS:
        return last_days(DAYS[name], name=name, at=at)
    if name == "12m":
        return Period(name, _a_year_before(today) + DAY, today, "the last 12 months")
    return Period(name, min(_first_day(creator) or today, today), today, "all time")


def last_days(count: int, *, name: str, at: datetime) -> Period:
    """The `count` days that end with the day of `at`."""
    today = day_of(at)
    label = "today" if count == 1 else f"the last {count} days"
    return Period(name, today - timedelta(days=count - 1), today, label)


def before(period: Period) -> Period | None:
    """As many days, up to the day before it; None before all time, since nothing was."""
    if period.name == "all":
        return None
    first_day = period.first_day - timedelta(days=period.days)
    return Period(period.name, first_day, period.first_day - DAY, f"the {period.days} days before")


def _a_year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return date(day.year - 1, 2, 28)


def _first_day(creator: User) -> date | None:
    with connection.cursor() as cursor:
        cursor.execute(FIRST_RECORD, {"creator": creator.pk})
        [first] = cursor.fetchone() or [None]
    return max(day_of(first), FIRST_DAY) if first else None
