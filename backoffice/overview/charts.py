"""The overview's charts: rows to draw from, each number with its rows, and a sentence that says the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from backoffice.overview.links import entries
from foundation import money
from foundation.calendar import DAY
from foundation.words import day_words
from monetization.figures.periods import Period
from wallet.books.days import Flow
from wallet.history.products import name_of
from wallet.models import Entry

Kind = Entry.Kind
Step = Literal["day", "week"]
# As many as the chart has colours.
SERIES_MAX = 3


@dataclass(frozen=True)
class Cell:
    """A number of a chart's table, and its rows' address; none where it is 0 or of several products."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Bar:
    """One day or week, drawn where it starts, with the number of each series behind its name."""

    starts: date
    words: str
    named: list[tuple[str, Cell]]


@dataclass(frozen=True)
class Chart:
    """A chart's series, by their names, and its rows; no rows where nothing is to be drawn."""

    names: tuple[str, ...] = ()
    rows: Sequence[Bar] = ()
    sentence: str = ""
    step: Step = "day"


@dataclass(frozen=True)
class _Series:
    """What one series adds up: a kind, of these products or of all (None); `sign` is how it is drawn."""

    name: str
    kind: Kind
    products: tuple[str, ...] | None
    sign: int = 1

    def has(self, flow: Flow) -> bool:
        return flow.kind == self.kind and (self.products is None or flow.product in self.products)

    def link(self, period: Period) -> str:
        if self.products is None:
            return entries(period, kind__exact=self.kind.value)
        if len(self.products) == 1:
            return entries(period, product=self.products[0], kind__exact=self.kind.value)
        return ""  # No list shows several products alone.


def flow_chart(flows: Sequence[Flow], period: Period, product: str) -> Chart:
    """What was topped up, and below the axis what was charged; empty where neither was."""
    products = (product,) if product else None
    series = (
        _Series("Topped up", Kind.TOPUP, products),
        _Series("Charged", Kind.DEDUCT, products),
    )
    topped_up, charged = (_total(each, flows) for each in series)
    if not topped_up and not charged:
        return Chart()
    sentence = f"{money.credits(topped_up)} topped up, {money.plain(-charged)} charged."
    return Chart(tuple(each.name for each in series), _bars(series, flows, period), sentence, step_of(period))


def product_chart(flows: Sequence[Flow], period: Period) -> Chart:
    """What each product charged: those with the most, and the others together; empty for a single one."""
    charged: Counter[str] = Counter()
    for flow in flows:
        if flow.kind == Kind.DEDUCT:
            charged[flow.product] -= flow.credits
    ranked = [name for name, _ in sorted(charged.items(), key=lambda item: (-item[1], item[0]))]
    if len(ranked) < 2:
        return Chart()
    alone = ranked if len(ranked) <= SERIES_MAX else ranked[: SERIES_MAX - 1]
    series = [_Series(name_of(name) or "No product", Kind.DEDUCT, (name,), -1) for name in alone]
    if others := tuple(ranked[len(alone) :]):
        series.append(_Series(f"{len(others)} others", Kind.DEDUCT, others, -1))
    told = ", ".join(f"{each.name} {money.plain(-_total(each, flows))}" for each in series)
    return Chart(
        tuple(each.name for each in series), _bars(series, flows, period), f"{told}.", step_of(period)
    )


def step_of(period: Period) -> Step:
    """How much a bar stands for: a week where days would be too many."""
    return "week" if period.name == "12m" else "day"


def _total(series: _Series, flows: Sequence[Flow]) -> int:
    return sum(flow.credits for flow in flows if series.has(flow))


def _bars(series: Sequence[_Series], flows: Sequence[Flow], period: Period) -> list[Bar]:
    step = step_of(period)
    totals = [Counter[date]() for _ in series]
    for flow in flows:
        for each, total in zip(series, totals, strict=True):
            if each.has(flow):
                total[_start_of(flow.day, step)] += each.sign * flow.credits
    bars = []
    start = _start_of(period.first_day, step)
    while start <= period.last_day:
        part = _part(period, start, step)
        cells = [
            (each.name, Cell(money.plain(total[start]), each.link(part)) if total[start] else Cell("0"))
            for each, total in zip(series, totals, strict=True)
        ]
        words = day_words(part.first_day)
        bars.append(Bar(start, f"Week of {words}" if step == "week" else words, cells))
        start += timedelta(weeks=1) if step == "week" else DAY
    return bars


def _start_of(day: date, step: Step) -> date:
    # A period may begin in the middle of a week; drawn from its Monday, all bars are equally far apart.
    return day - timedelta(days=day.weekday()) if step == "week" else day


def _part(period: Period, start: date, step: Step) -> Period:
    """The days of a bar that lie within the period."""
    last_day = start + timedelta(days=6) if step == "week" else start
    return Period("", max(start, period.first_day), min(last_day, period.last_day), "")
