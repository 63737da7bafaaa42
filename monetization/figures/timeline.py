"""Six weeks of a creator's sponsor placements, for a page that draws them and turns to other weeks."""

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
BLOCKS_MAX = 30  # The page draws at most this many placements of a position.
NARROW_DAYS = 4  # A slot of at most this many days has no room for words.
WEEKS_AWAY_MAX = 54  # The page turns to about a year before and after now.


@dataclass(frozen=True)
class Slot:
    """A placement in the timeline, or a gap. A slot has whole UTC days; `last_day` is included.

    `first_day` and `last_day` are the placement's own, even outside the timeline. `days` are these days in
    words. The slot is drawn from `offset_days` (0 to 41, counted from the timeline's first day) over
    `width_days` (1 to 42). `is_cut_before` and `is_cut_after` are true if the placement has days before or
    after the timeline, which are not drawn.

    A gap begins today or later, and its `sponsor` is None. `conflict` is true if another placement of the
    position runs at the same moment, now or later, within the timeline. Two placements that share a day but
    no moment are not in conflict.
    """

    first_day: date
    last_day: date
    days: str
    offset_days: int
    width_days: int
    is_cut_before: bool = False
    is_cut_after: bool = False
    sponsor: Sponsor | None = None
    state: Sponsor.State | None = None
    conflict: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether the slot has room only for a sign, even on a wide screen."""
        return self.width_days <= NARROW_DAYS


@dataclass(frozen=True)
class Row:
    """One position: its placements, sorted by their beginning, and its free days.

    Only the first 30 placements are drawn; `left_out` is the number of the others. The days of the others do
    not count as free.
    """

    position: Sponsor.Position
    blocks: list[Slot]
    gaps: list[Slot]
    left_out: int = 0

    @property
    def slots(self) -> list[Slot]:
        """Placements and gaps, sorted by their first day. If two begin on one day, the longer comes first."""
        return sorted((*self.blocks, *self.gaps), key=lambda slot: (slot.offset_days, -slot.width_days))


@dataclass(frozen=True)
class Timeline:
    """Six weeks from a Monday, in UTC. `weeks` are the Mondays, and `days` are the six weeks in words.

    `weeks_away` is how many weeks after the present week these six begin: a multiple of 6, negative for the
    past. `today_offset_days` is 0 (Monday) to 6, and None if today is not one of the days.
    """

    first_day: date
    last_day: date
    days: str
    weeks: list[date]
    weeks_away: int
    today_offset_days: int | None
    rows: list[Row]

    @property
    def is_free(self) -> bool:
        """Whether no position has a placement."""
        return not any(row.blocks for row in self.rows)

    @property
    def earlier(self) -> int | None:
        """The `weeks_away` of the six weeks before these; None if the page does not turn to them."""
        return self.weeks_away - WEEKS if self.weeks_away > -WEEKS_AWAY_MAX else None

    @property
    def later(self) -> int | None:
        """The `weeks_away` of the six weeks after these; None if the page does not turn to them."""
        return self.weeks_away + WEEKS if self.weeks_away < WEEKS_AWAY_MAX else None


def weeks_away(text: str) -> int:
    """Return the `weeks_away` that a URL asks for: a multiple of 6 from -54 to 54; 0 for any other text."""
    possible = range(-WEEKS_AWAY_MAX, WEEKS_AWAY_MAX + 1, WEEKS)
    return next((number for number in possible if str(number) == text), 0)


def six_weeks(creator: User, *, at: datetime, weeks_away: int = 0) -> Timeline:
    """Return the placements of six weeks by position. Cancelled placements are left out.

    The first day is the Monday of the week that is `weeks_away` weeks after the week of `at`. This takes one
    query.
    """
    today = day_of(at)
    first_day = today - today.weekday() * DAY + 7 * weeks_away * DAY
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
        days=span_words(first_day, last_day, today=today),
        weeks=[first_day + 7 * week * DAY for week in range(WEEKS)],
        weeks_away=weeks_away,
        today_offset_days=today.weekday() if weeks_away == 0 else None,
        rows=[
            _row(position, [each for each in placements if each.position == position], first_day, at)
            for position in Sponsor.Position
        ],
    )


def _row(position: Sponsor.Position, placements: list[Sponsor], monday: date, at: datetime) -> Row:
    in_conflict = sponsors.in_conflict([each for each in placements if each.active_until > at])
    today = day_of(at)
    blocks: list[Slot] = []
    free = {monday + number * DAY for number in range(max(0, (today - monday).days), DAYS)}
    for sponsor in placements:
        first_day, last_day = day_of(sponsor.active_from), last_day_of(sponsor.active_until)
        first_drawn, last_drawn = max(first_day, monday), min(last_day, monday + (DAYS - 1) * DAY)
        block = Slot(
            first_day,
            last_day,
            span_words(first_day, last_day, today=today),
            offset_days=(first_drawn - monday).days,
            width_days=(last_drawn - first_drawn).days + 1,
            is_cut_before=first_day < first_drawn,
            is_cut_after=last_day > last_drawn,
            sponsor=sponsor,
            state=sponsor.state_at(at),
            conflict=sponsor.pk in in_conflict,
        )
        blocks.append(block)
        free.difference_update(first_drawn + number * DAY for number in range(block.width_days))
    gaps = list(_gaps(sorted(free), monday, today))
    return Row(position, blocks[:BLOCKS_MAX], gaps, left_out=len(blocks[BLOCKS_MAX:]))


def _gaps(free: list[date], monday: date, today: date) -> Iterator[Slot]:
    """Yield one gap for each run of consecutive days. `free` must be sorted."""
    for _, run in groupby(enumerate(free), key=lambda numbered: numbered[1] - numbered[0] * DAY):
        days = [day for _, day in run]
        words = span_words(days[0], days[-1], today=today)
        yield Slot(days[0], days[-1], words, (days[0] - monday).days, len(days))
