"""The periods that figures cover, and the steps of charts. A period is a number of whole UTC days.

The last day of a period is today, except in `before` and `between`. The URL of a page names the period. `7d`,
`30d` and `90d` are 7, 30 and 90 days, `12m` is exactly one year, and `all` begins with the creator's first
record. For days that the creator chose, the URL has the first and the last day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from django.db import connection

from accounts.models import User
from foundation.calendar import DAY, MONTHS_OF_A_YEAR, add_months, day_of, start_of
from foundation.words import day_words

RANGES = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "12m": "12 months", "all": "all time"}
RANGE_DEFAULT = "30d"
CHOSEN = "chosen"  # The name of a period between two days that the creator chose.
CHOSEN_DAYS_MAX = 731  # Two years. The steps of a chart are then at most a week.
# A placement may be recorded long after it began, so its beginning may be in the far past. The period `all`
# never begins before this day.
FIRST_DAY = date(2000, 1, 1)

Step = Literal["day", "week", "month", "year"]
# Each pair is a number of days, and the step of periods with up to that many days. Longer periods have the
# step "year". A chart has room for a few hundred points.
STEPS: tuple[tuple[int, Step], ...] = ((92, "day"), (731, "week"), (7306, "month"))
DAYS_OF_A_WEEK = 7

# Each inner SELECT is one index lookup. A placement counts from its beginning, even if it was recorded later.
FIRST_RECORD = """
SELECT least((SELECT min(created_at) FROM monetization_tip WHERE creator_id = %(creator)s),
             (SELECT min(created_at) FROM monetization_subscription WHERE creator_id = %(creator)s),
             (SELECT min(active_from) FROM monetization_sponsor
               WHERE creator_id = %(creator)s AND cancelled_at IS NULL))
"""


@dataclass(frozen=True)
class Period:
    """The UTC days from `first_day` to `last_day`, both included.

    `name` is one of RANGES, CHOSEN, or a period of the API. `label` names the days: "the last 30 days".
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
        """The midnight at which the last day ends. This moment is not part of the period."""
        return start_of(self.last_day) + DAY

    @property
    def days(self) -> int:
        """The number of days, at least 1."""
        return (self.last_day - self.first_day).days + 1

    @property
    def within(self) -> str:
        """The period as an adverb: "in the last 30 days", "from 1 Oct 2026 to 9 Oct 2026", "so far"."""
        if self.name == "all":
            return "so far"
        if self.name != CHOSEN:
            return f"in {self.label}"
        return f"on {self.label}" if self.days == 1 else f"from {self.label}"


def period_of(creator: User | None, name: str, *, at: datetime) -> Period:
    """Return the period with this name of RANGES. Its last day is the day of `at`.

    Any other name means RANGE_DEFAULT. `all` begins on the day of the creator's first tip, subscription or
    placement; if there is none, `all` is only today. Without a creator (for the whole service), `all` means
    RANGE_DEFAULT too.
    """
    today = day_of(at)
    if name == "all" and creator:
        return Period(name, min(_first_day(creator) or today, today), today, "all time")
    if name == "12m":
        return Period(name, _a_year_before(today) + DAY, today, "the last 12 months")
    name = name if name in ("7d", "30d", "90d") else RANGE_DEFAULT
    return last_days(int(name.removesuffix("d")), name=name, at=at)


def last_days(count: int, *, name: str, at: datetime) -> Period:
    """Return the period of `count` days. Its last day is the day of `at`."""
    today = day_of(at)
    label = "today" if count == 1 else f"the last {count} days"
    return Period(name, today - timedelta(days=count - 1), today, label)


def between(first_day: date, last_day: date) -> Period:
    """Return the period from one day to another, both included."""
    first, last = day_words(first_day), day_words(last_day)
    return Period(CHOSEN, first_day, last_day, first if first_day == last_day else f"{first} to {last}")


def before(period: Period) -> Period | None:
    """Return the period of the same length that ends on the day before `period` begins; None for `all`."""
    if period.name == "all":
        return None
    first_day = period.first_day - timedelta(days=period.days)
    label = "the day before" if period.days == 1 else f"the {period.days} days before"
    return Period(period.name, first_day, period.first_day - DAY, label)


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


# --- Steps ------------------------------------------------------------------------------------------


def step_of(period: Period) -> Step:
    """Return the step of a chart of this period: the time that one point covers.

    It is a day for up to 92 days, a week for up to 731 days, a month for up to 7306 days, and a year for more
    days. Weeks begin on Monday.
    """
    return next((step for longest, step in STEPS if period.days <= longest), "year")


def steps(period: Period, step: Step) -> Iterator[tuple[date, date, date]]:
    """Yield for each step its first day in the calendar, and its first and last day within the period."""
    begins = beginning_of(period.first_day, step)
    while begins <= period.last_day:
        if step in ("month", "year"):
            next_begins = add_months(begins, 1 if step == "month" else MONTHS_OF_A_YEAR)
        else:
            next_begins = begins + (DAYS_OF_A_WEEK if step == "week" else 1) * DAY
        yield begins, max(begins, period.first_day), min(next_begins - DAY, period.last_day)
        begins = next_begins


def beginning_of(day: date, step: Step) -> date:
    """Return the first day, in the calendar, of the step that contains `day`."""
    match step:
        case "day":
            return day
        case "week":
            return day - day.weekday() * DAY
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def step_words(day: date, step: Step) -> str:
    """Return the words for a step. `day` is the first day of the step within the period.

    >>> step_words(date(2026, 10, 3), "week"), step_words(date(2026, 10, 1), "month")
    ('Week of 3 Oct 2026', 'October 2026')
    """
    by_step = {"week": f"Week of {day_words(day)}", "month": f"{day:%B %Y}", "year": f"{day:%Y}"}
    return by_step.get(step, day_words(day))
