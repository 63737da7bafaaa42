"""Six weeks of sponsor placements, as a page draws them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, pairwise

from accounts.models import User
from foundation.calendar import DAY, day_of, last_day_of, start_of
from monetization.models import Sponsor

WEEKS = 6
DAYS = 7 * WEEKS
BLOCKS_MAX = 30  # Of a position that are drawn.


@dataclass(frozen=True)
class Block:
    """A placement within the timeline, by whole UTC days, both included, cut to what is shown.

    `offset_days` is 0 to 41 and `width_days` 1 to 42. `conflict` is whether another placement of the position
    shares a moment with it within the timeline, from now on; two that share a day alone don't.
    """

    sponsor: Sponsor
    first_day: date
    last_day: date
    offset_days: int
    width_days: int
    state: Sponsor.State
    conflict: bool


@dataclass(frozen=True)
class Gap:
    """Whole UTC days, today or later and both included, on which a position has no sponsor at all."""

    first_day: date
    last_day: date
    offset_days: int
    width_days: int


@dataclass(frozen=True)
class Row:
    """One position: its blocks by their beginning, and its free days.

    `left_out` is how many blocks beyond the first 30 are not among them; gaps take no notice of that.
    """

    position: Sponsor.Position
    blocks: list[Block]
    gaps: list[Gap]
    left_out: int = 0


@dataclass(frozen=True)
class Timeline:
    """Six weeks from a Monday, UTC; `weeks` are their Mondays, `today_offset_days` is 0 to 6."""

    first_day: date
    last_day: date
    weeks: list[date]
    today_offset_days: int
    rows: list[Row]


def six_weeks(creator: User, *, at: datetime) -> Timeline:
    """Six weeks from the Monday of the week of `at`, by position, without what was cancelled. One query."""
    today = day_of(at)
    first_day = today - today.weekday() * DAY
    last_day = first_day + (DAYS - 1) * DAY
    shown = (
        Sponsor.objects.visible_to(creator)
        .booked()
        .filter(active_from__lt=start_of(last_day + DAY), active_until__gt=start_of(first_day))
    )
    placements = list(shown.order_by("active_from", "pk"))
    return Timeline(
        first_day=first_day,
        last_day=last_day,
        weeks=[first_day + 7 * week * DAY for week in range(WEEKS)],
        today_offset_days=today.weekday(),
        rows=[
            _row(position, [each for each in placements if each.position == position], first_day, at)
            for position in Sponsor.Position
        ],
    )


def _row(position: Sponsor.Position, placements: list[Sponsor], first_day: date, at: datetime) -> Row:
    in_conflict = _in_conflict(placements, since=at, until=start_of(first_day + DAYS * DAY))
    blocks: list[Block] = []
    taken: set[int] = set()
    for sponsor in placements:
        first = max((day_of(sponsor.active_from) - first_day).days, 0)
        last = min((last_day_of(sponsor.active_until) - first_day).days, DAYS - 1)
        taken.update(range(first, last + 1))
        if len(blocks) == BLOCKS_MAX:
            continue
        blocks.append(
            Block(
                sponsor=sponsor,
                first_day=first_day + first * DAY,
                last_day=first_day + last * DAY,
                offset_days=first,
                width_days=last - first + 1,
                state=sponsor.state_at(at),
                conflict=sponsor.pk in in_conflict,
            )
        )
    free = [day for day in range((day_of(at) - first_day).days, DAYS) if day not in taken]
    return Row(
        position=position,
        blocks=blocks,
        gaps=list(_gaps(free, first_day)),
        left_out=len(placements) - len(blocks),
    )


def _in_conflict(placements: list[Sponsor], *, since: datetime, until: datetime) -> set[str]:
    """The ids of those that share a moment of [since, until) with another; by their beginning as given."""
    standing = [each for each in placements if each.active_until > since and each.active_from < until]
    found = set()
    # One that runs beside an earlier one begins before the latest end so far; one that runs beside a later
    # one ends after the next one begins.
    reach = standing[0].active_from if standing else since
    for each in standing:
        if each.active_from < reach:
            found.add(each.pk)
        reach = max(reach, each.active_until)
    found.update(each.pk for each, later in pairwise(standing) if later.active_from < each.active_until)
    return found


def _gaps(free: list[int], first_day: date) -> Iterator[Gap]:
    """Days in a row as one gap, of days in order."""
    for _, run in groupby(enumerate(free), key=lambda numbered: numbered[1] - numbered[0]):
        days = [day for _, day in run]
        yield Gap(first_day + days[0] * DAY, first_day + days[-1] * DAY, days[0], len(days))
