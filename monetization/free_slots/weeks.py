"""Which days of the next twelve weeks are free in each position. It names no sponsor and no price."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from foundation.calendar import DAY, day_of, last_day_of, start_of
from foundation.words import span_words
from monetization.models import Sponsor

WEEKS = 12
DAYS = 7 * WEEKS


@dataclass(frozen=True)
class Day:
    """A UTC day of a position. A day is free if no placement runs in any part of it, and it is not past."""

    day: date
    is_past: bool
    is_free: bool


@dataclass(frozen=True)
class PositionWeeks:
    """Twelve weeks of a position from this week's Monday on. `spans` are the runs of free days, in words."""

    position: Sponsor.Position
    weeks: list[list[Day]]
    spans: list[str]


def free_weeks(creator_id: str, *, at: datetime) -> list[PositionWeeks]:
    """Return the days of each position over twelve weeks, beginning with the week of `at`.

    This takes one query.
    """
    today = day_of(at)
    monday = today - today.weekday() * DAY
    days = [monday + number * DAY for number in range(DAYS)]
    taken = _taken(creator_id, days[0], days[-1])
    return [_weeks(position, days, taken[position], today) for position in Sponsor.Position]


def _weeks(position: Sponsor.Position, days: list[date], taken: Set[date], today: date) -> PositionWeeks:
    shown = [Day(day, is_past=day < today, is_free=day >= today and day not in taken) for day in days]
    weeks = [shown[start : start + 7] for start in range(0, DAYS, 7)]
    return PositionWeeks(position, weeks, list(_spans(shown, today)))


def _spans(days: list[Day], today: date) -> Iterator[str]:
    for is_free, run in groupby(days, key=lambda each: each.is_free):
        if is_free:
            first, *_, last = [each.day for each in run] * 2
            yield span_words(first, last, today=today)


def _taken(creator_id: str, first_day: date, last_day: date) -> dict[str, set[date]]:
    """Return the days of each position on which a placement runs, from `first_day` to `last_day`."""
    placements = Sponsor.objects.booked().filter(
        creator_id=creator_id, active_from__lt=start_of(last_day + DAY), active_until__gt=start_of(first_day)
    )
    taken: dict[str, set[date]] = {position: set() for position in Sponsor.Position}
    # Sorted by their beginning, placements fill the days from left to right. So no day is counted twice, even
    # if a creator has recorded very many placements.
    next_day = dict.fromkeys(taken, first_day)
    periods = placements.order_by("active_from").values_list("position", "active_from", "active_until")
    for position, begins, ends in periods.iterator():
        day, last = max(day_of(begins), next_day[position]), min(last_day_of(ends), last_day)
        while day <= last:
            taken[position].add(day)
            day += DAY
        next_day[position] = max(next_day[position], day)
    return taken
