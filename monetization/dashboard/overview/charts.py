"""What the overview's charts and timeline say: rows to draw from, sentences, and why there is nothing.

Nothing here writes. Amounts come as text, of one currency; days are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from accounts.models import User
from foundation import calendar, money
from foundation.money import figure
from foundation.words import NAME_SHOWN, count, day_words, shortened, span_words
from monetization.figures import periods, series
from monetization.figures.periods import Period
from monetization.figures.series import Step, TipDay
from monetization.figures.stats import Figures
from monetization.figures.timeline import Timeline
from monetization.models import Sponsor, Tip

NARROW_DAYS = 4  # A free gap of at most so many days has no room for words.


# --- Charts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """The rows of a chart's table, what they tell in a sentence; no rows where nothing is to be drawn."""

    rows: Sequence[object] = ()
    sentence: str = ""
    step: str = "day"


@dataclass(frozen=True)
class TipRow:
    """One step of the tips, drawn where it starts; refunds carry a minus sign, for they go below the axis."""

    starts: date
    words: str
    gross: str
    fee: str
    net: str
    refunded: str


@dataclass(frozen=True)
class MrrRow:
    """MRR at the end of one step."""

    day: date
    words: str
    mrr: str


@dataclass(frozen=True)
class IncomeRow:
    """What one month brought."""

    month: date
    words: str
    tips: str
    sponsors: str


def tips_chart(creator: User, currency: str, period: Period, figures: Figures) -> Chart:
    """Tips and refunds by step; empty where the period has none of either."""
    if not figures.tips and not figures.refunds:
        return Chart()
    step = series.step_of(period)
    points = series.tips_by_day(creator, currency, period)
    rows = [
        TipRow(
            starts=_start_of(each.day, step),
            words=words_of(each.day, step),
            gross=figure(each.gross_cents, currency),
            fee=figure(each.gross_cents - each.net_cents, currency),
            net=figure(each.net_cents, currency),
            refunded=figure(-each.refunded_cents, currency),
        )
        for each in points
    ]
    return Chart(rows, _tips_sentence(figures, currency, points, step), step)


def _tips_sentence(figures: Figures, currency: str, points: list[TipDay], step: Step) -> str:
    said = [f"{count(figures.tips, 'tip')}, {money.amount(figures.gross_cents, currency)} gross."]
    if figures.tips > 1:
        most = max(points, key=_gross)
        said.append(f"Most, {money.amount(most.gross_cents, currency)}, {_on(most.day, step)}.")
    if figures.refunds:
        said.append(f"{money.amount(figures.refunded_cents, currency)} went back to readers.")
    return " ".join(said)


def _start_of(day: date, step: Step) -> date:
    # A period may begin in the middle of a week; drawn from its Monday, all bars are equally far apart.
    if step == "week":
        return day - timedelta(days=day.weekday())
    return day if step == "day" else day.replace(day=1, month=1 if step == "year" else day.month)


def _gross(point: TipDay) -> int:
    return point.gross_cents


def mrr_chart(creator: User, currency: str, period: Period) -> Chart:
    """MRR at the end of each step; empty where it was 0 all along."""
    step = series.step_of(period)
    points = series.mrr_by_day(creator, currency, period)
    if not any(each.mrr_cents for each in points):
        return Chart()
    rows = [MrrRow(p.last_day, day_words(p.last_day), figure(p.mrr_cents, currency)) for p in points]
    first, last = points[0], points[-1]
    sentence = f"{money.amount(last.mrr_cents, currency)} now"
    if len(points) > 1:
        was = money.amount(first.mrr_cents, currency)
        sentence += f", from {was} at the end of {day_words(first.last_day)}"
    return Chart(rows, f"{sentence}.", step)


def income_chart(creator: User, currency: str, *, at: datetime) -> Chart:
    """Tips and sponsors of the last twelve months; empty where there were none."""
    points = series.income_by_month(creator, currency, at=at)
    if not any(each.tips_net_cents or each.sponsors_booked_cents for each in points):
        return Chart()
    rows = [
        IncomeRow(
            month=each.month,
            words=f"{each.month:%B %Y}",
            tips=figure(each.tips_net_cents, currency),
            sponsors=figure(each.sponsors_booked_cents, currency),
        )
        for each in points
    ]
    tips = money.amount(sum(each.tips_net_cents for each in points), currency)
    booked = money.amount(sum(each.sponsors_booked_cents for each in points), currency)
    return Chart(rows, f"{tips} from tips, net; {booked} of sponsors booked.", "month")


def words_of(day: date, step: Step) -> str:
    """A step by its first day.

    >>> words_of(date(2026, 10, 3), "week"), words_of(date(2026, 10, 1), "month")
    ('Week of 3 Oct 2026', 'October 2026')
    """
    by_step = {"week": f"Week of {day_words(day)}", "month": f"{day:%B %Y}", "year": f"{day:%Y}"}
    return by_step.get(step, day_words(day))


def _on(day: date, step: Step) -> str:
    return {
        "week": f"in the week of {day_words(day)}",
        "month": f"in {day:%B %Y}",
        "year": f"in {day:%Y}",
    }.get(step, f"on {day_words(day)}")


# --- Nothing in this range --------------------------------------------------------------------------


@dataclass(frozen=True)
class Silence:
    """Why a range shows no tips: the day of the last one, and the name of a range that reaches it."""

    sentence: str
    wider: str = ""


def silence_of(creator: User, period: Period, tips: Sequence[Tip], *, at: datetime) -> Silence:
    """What to say in place of a chart of tips; `tips` are the creator's newest of the currency."""
    if not tips:
        return Silence("Tips you record through the API appear here, day by day.")
    last = calendar.day_of(tips[0].created_at)
    sentence = f"No tips in {period.label}. The last one came on {day_words(last)}."
    names = list(periods.RANGES)
    for name in names[names.index(period.name) + 1 :]:
        if name == "all" or periods.period_of(creator, name, at=at).first_day <= last:
            return Silence(sentence, name)
    return Silence(sentence)


# --- The timeline -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """A placement or a free gap on the timeline of 42 days: `start` is its first column, 1 to 42."""

    start: int
    span: int
    days: str
    name: str = ""
    state: str = ""
    state_words: str = ""
    sponsor_id: str = ""
    conflict: bool = False
    first_day: date | None = None
    last_day: date | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether a wide screen has no room for more than a sign in it."""
        return self.span <= NARROW_DAYS


@dataclass(frozen=True)
class Lane:
    """One position: what is booked and what is free, by their beginning."""

    position: str
    label: str
    slots: list[Slot] = field(default_factory=list)
    left_out: int = 0


def lanes_of(shown: Timeline) -> list[Lane]:
    """The three positions, each with its placements and free days in the order of time."""
    lanes = []
    for row in shown.rows:
        booked = [
            Slot(
                start=block.offset_days + 1,
                span=block.width_days,
                days=span_words(block.first_day, block.last_day),
                name=shortened(block.sponsor.sponsor_name, NAME_SHOWN),
                state=str(block.state),
                state_words=Sponsor.State(block.state).label,
                sponsor_id=block.sponsor.pk,
                conflict=block.conflict,
            )
            for block in row.blocks
        ]
        free = [
            Slot(
                start=gap.offset_days + 1,
                span=gap.width_days,
                days=span_words(gap.first_day, gap.last_day),
                first_day=gap.first_day,
                last_day=gap.last_day,
            )
            for gap in row.gaps
        ]
        slots = sorted((*booked, *free), key=lambda slot: (slot.start, -slot.span))
        lanes.append(Lane(str(row.position), Sponsor.Position(row.position).label, slots, row.left_out))
    return lanes
