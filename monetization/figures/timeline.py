"""Six weeks of sponsor placements, as a page draws them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from accounts.models import User
from foundation.calendar import DAY, day_of, last_day_of, start_of
from foundation.words import span_words
from monetization import sponsors
from monetization.models import Sponsor

WEEKS = 6
DAYS = 7 * WEEKS
BLOCKS_MAX = 30  # Drawn of a position.
NARROW_DAYS = 4  # A free gap of at most so many days has no room for words.


@dataclass(frozen=True)
class Slot:
    """A placement within the timeline, or a gap without any, by whole UTC days, both ends included.

    A placement is cut to what is shown; a gap begins today or later, and its `sponsor` is None. `offset_days`
    is 0 to 41. `conflict` is whether another placement of the position shares a moment with it within the
    timeline, from now on; two that share only a day do not.
    """

    first_day: date
    last_day: date
    offset_days: int
    sponsor: Sponsor | None = None
    state: Sponsor.State | None = None
    conflict: bool = False

    @property
    def width_days(self) -> int:
        """How many days, 1 to 42."""
        return (self.last_day - self.first_day).days + 1

    @property
    def is_narrow(self) -> bool:
        """Whether a wide screen has room for no more than a sign in it."""
        return self.width_days <= NARROW_DAYS

    @property
    def days(self) -> str:
        """Its days in words."""
        return span_words(self.first_day, self.last_day)


@dataclass(frozen=True)
class Row:
    """One position: its placements by their beginning, and its free days.

    `left_out` is how many placements beyond the first 30 are not drawn. Their days are not free either.
    """

    position: Sponsor.Position
    blocks: list[Slot]
    gaps: list[Slot]
    left_out: int = 0

    @property
    def slots(self) -> list[Slot]:
        """All of them, by their beginning, the longest of a day first."""
        return sorted((*self.blocks, *self.gaps), key=lambda slot: (slot.offset_days, -slot.width_days))


@dataclass(frozen=True)
class Timeline:
    """Six weeks from a Monday, UTC; `weeks` are their Mondays, `today_offset_days` is 0 to 6."""

    first_day: date
    last_day: date
    weeks: list[date]
    today_offset_days: int
    rows: list[Row]

    @property
    def is_free(self) -> bool:
        """Whether no position has a placement."""
        return not any(row.blocks for row in self.rows)


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


def _row(position: Sponsor.Position, placements: list[Sponsor], monday: date, at: datetime) -> Row:
    in_conflict = sponsors.in_conflict([each for each in placements if each.active_until > at])
    blocks: list[Slot] = []
    free = {monday + number * DAY for number in range((day_of(at) - monday).days, DAYS)}
    for sponsor in placements:
        first_day = max(day_of(sponsor.active_from), monday)
        last_day = min(last_day_of(sponsor.active_until), monday + (DAYS - 1) * DAY)
        offset_days, state = (first_day - monday).days, sponsor.state_at(at)
        blocks.append(Slot(first_day, last_day, offset_days, sponsor, state, sponsor.pk in in_conflict))
        free.difference_update(first_day + number * DAY for number in range(blocks[-1].width_days))
    gaps = list(_gaps(sorted(free), monday))
    return Row(position, blocks[:BLOCKS_MAX], gaps, left_out=len(blocks[BLOCKS_MAX:]))


def _gaps(free: list[date], monday: date) -> Iterator[Slot]:
    """Days that follow each other as one gap; the days come in order."""
    for _, run in groupby(enumerate(free), key=lambda numbered: numbered[1] - numbered[0] * DAY):
        days = [day for _, day in run]
        yield Slot(days[0], days[-1], (days[0] - monday).days)
