"""The charts of credits on the front page of the back-office. A figure links to its ledger entries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from backoffice.overview.links import entries
from foundation import money
from foundation.charts import Cell, Chart, Column, Row, Table
from monetization.figures.periods import Period, Step, beginning_of, step_of, step_words, steps
from wallet.books.days import Flow
from wallet.charges.give_backs import CHARGES
from wallet.history.products import name_of
from wallet.models import Entry

Kind = Entry.Kind
SERIES_MAX = 3  # A chart has three colours.


@dataclass(frozen=True)
class Flows:
    """The sums of a period's entries, and those of the equally long period `before` it."""

    period: Period
    now: Sequence[Flow]
    before: Period
    then: Sequence[Flow]

    @property
    def days_between(self) -> timedelta:
        """How much later the period begins than the period before it."""
        return self.period.first_day - self.before.first_day

    def of_product(self, product: str) -> "Flows":
        """Return the sums of one product; of all products if it is ""."""
        if not product:
            return self
        now, then = ([flow for flow in each if flow.product == product] for each in (self.now, self.then))
        return replace(self, now=now, then=then)


def then_words(before: Period) -> str:
    """Return the words for the period before in the heading of a column: "30 days before"."""
    return before.label.removeprefix("the ")


@dataclass(frozen=True)
class Series:
    """One column of a chart. It adds up the credits of some kinds of entries, multiplied by `sign`.

    Only entries of `products` count; None means all products.
    """

    name: str
    kinds: tuple[Kind, ...]
    products: tuple[str, ...] | None
    sign: int = 1

    def amount(self, flow: Flow) -> int:
        """Return the credits that a flow adds to the column."""
        is_in = flow.kind in self.kinds and (self.products is None or flow.product in self.products)
        return self.sign * flow.credits if is_in else 0

    def link(self, period: Period) -> str:
        """Return the address of the column's entries in a period.

        It is "" for several products, because no list can be filtered by several products.
        """
        if self.products and len(self.products) > 1:
            return ""
        product = self.products[0] if self.products else None
        return entries(period, product=product, kinds=self.kinds)


def flow_chart(flows: Flows, product: str) -> Chart | None:
    """Return a chart of the credits topped up and, below the axis, the credits charged.

    Return None if nothing was topped up or charged. All `flows` belong to `product`; "" means all products.
    """
    products = (product,) if product else None
    series = (Series("Topped up", (Kind.TOPUP,), products), Series("Charged", CHARGES, products))
    topped_up, charged = (sum(map(each.amount, flows.now)) for each in series)
    if not topped_up and not charged:
        return None
    return _chart(
        series,
        series,
        flows,
        title=f"Topped up and charged by {step_of(flows.period)}, credits",
        sentence=f"{money.credits(topped_up)} topped up, {money.plain(-charged)} charged.",
        caption="Credits topped up, and charged with a minus sign",
    )


def product_chart(flows: Flows) -> Chart | None:
    """Return a chart of the credits that each product charged; None if fewer than two products charged.

    If more than three products charged, the chart shows the two largest, and the sum of the others.
    """
    charged: Counter[str] = Counter()
    for flow in flows.now:
        if flow.kind in CHARGES:
            charged[flow.product] -= flow.credits
    ranked = sorted(charged, key=lambda name: (-charged[name], name))
    if len(ranked) < 2:
        return None
    alone = ranked if len(ranked) <= SERIES_MAX else ranked[: SERIES_MAX - 1]
    series = [Series(name_of(name) or "No product", CHARGES, (name,), -1) for name in alone]
    if others := tuple(ranked[len(alone) :]):
        series.append(Series(f"{len(others)} others", CHARGES, others, -1))
    totals = [f"{each.name} {money.plain(sum(map(each.amount, flows.now)))}" for each in series]
    return _chart(
        series,
        [Series("All", CHARGES, None, -1)],
        flows,
        title=f"Charged by product and {step_of(flows.period)}, credits",
        sentence=f"{', '.join(totals)}.",
        caption="Credits charged by each product",
    )


def _chart(
    series: Sequence[Series], then: Sequence[Series], flows: Flows, *, title: str, sentence: str, caption: str
) -> Chart:
    """Return a chart of `series`, with a dashed line for each of `then` in the period before.

    A line is left out if nothing moved in that period.
    """
    period, step, shift = flows.period, step_of(flows.period), flows.days_between
    then = [each for each in then if any(map(each.amount, flows.then))]
    totals = [_by_step(each, flows.now, step) for each in series]
    totals_then = [_by_step(each, flows.then, step, shift) for each in then]
    rows = []
    for begins, first_day, last_day in steps(period, step):
        part = Period("", first_day, last_day, "")
        part_then = Period("", first_day - shift, last_day - shift, "")
        cells = [_cell(each, total[begins], part) for each, total in zip(series, totals, strict=True)]
        cells += [
            _cell(each, total[begins], part_then) for each, total in zip(then, totals_then, strict=True)
        ]
        # A period may begin in the middle of a step, such as a week. The bar is drawn at the first day of the
        # whole step, so that all bars are equally far apart.
        rows.append(Row(step_words(first_day, step), cells, begins))
    columns = [Column(each.name) for each in series]
    colors = {each: color for color, each in enumerate(series, 1)}
    columns += [
        Column(f"{each.name}, {then_words(flows.before)}", colors.get(each), is_before=True) for each in then
    ]
    return Chart(
        title,
        sentence,
        f"{caption}, by {step}; days are UTC",
        Table(f"{step.title()}, UTC", columns, rows),
        drawn="bars",
        has_days=step == "day",
    )


def _by_step(
    each: Series, flows: Sequence[Flow], step: Step, shift: timedelta = timedelta(0)
) -> Counter[date]:
    """Return the amounts of each step, by its first day. All flows count `shift` later."""
    total: Counter[date] = Counter()
    for flow in flows:
        total[beginning_of(flow.day + shift, step)] += each.amount(flow)
    return total


def _cell(each: Series, amount: int, part: Period) -> Cell:
    return Cell(money.plain(amount), each.link(part)) if amount else Cell("0")
