"""The charts of credits on the front page of the back-office. A figure links to its ledger entries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from backoffice.overview.links import entries
from foundation import money
from foundation.charts import Cell, Chart, Column, Row, Table
from monetization.figures.periods import Period, beginning_of, step_of, step_words, steps
from wallet.books.days import Flow
from wallet.charges.give_backs import CHARGES
from wallet.history.products import name_of
from wallet.models import Entry

Kind = Entry.Kind
SERIES_MAX = 3  # A chart has three colours.


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


def flow_chart(flows: Sequence[Flow], period: Period, product: str) -> Chart | None:
    """Return a chart of the credits topped up and, below the axis, the credits charged.

    Return None if nothing was topped up or charged. All `flows` belong to `product`; "" means all products.
    """
    products = (product,) if product else None
    series = (Series("Topped up", (Kind.TOPUP,), products), Series("Charged", CHARGES, products))
    topped_up, charged = (sum(map(each.amount, flows)) for each in series)
    if not topped_up and not charged:
        return None
    return _chart(
        series,
        flows,
        period,
        title=f"Topped up and charged by {step_of(period)}, credits",
        sentence=f"{money.credits(topped_up)} topped up, {money.plain(-charged)} charged.",
        caption="Credits topped up, and charged with a minus sign",
    )


def product_chart(flows: Sequence[Flow], period: Period) -> Chart | None:
    """Return a chart of the credits that each product charged; None if fewer than two products charged.

    If more than three products charged, the chart shows the two largest, and the sum of the others.
    """
    charged: Counter[str] = Counter()
    for flow in flows:
        if flow.kind in CHARGES:
            charged[flow.product] -= flow.credits
    ranked = sorted(charged, key=lambda name: (-charged[name], name))
    if len(ranked) < 2:
        return None
    alone = ranked if len(ranked) <= SERIES_MAX else ranked[: SERIES_MAX - 1]
    series = [Series(name_of(name) or "No product", CHARGES, (name,), -1) for name in alone]
    if others := tuple(ranked[len(alone) :]):
        series.append(Series(f"{len(others)} others", CHARGES, others, -1))
    totals = [f"{each.name} {money.plain(sum(map(each.amount, flows)))}" for each in series]
    return _chart(
        series,
        flows,
        period,
        title=f"Charged by product and {step_of(period)}, credits",
        sentence=f"{', '.join(totals)}.",
        caption="Credits charged by each product",
    )


def _chart(
    series: Sequence[Series],
    flows: Sequence[Flow],
    period: Period,
    *,
    title: str,
    sentence: str,
    caption: str,
) -> Chart:
    step = step_of(period)
    totals = [Counter[date]() for _ in series]
    for flow in flows:
        for each, total in zip(series, totals, strict=True):
            total[beginning_of(flow.day, step)] += each.amount(flow)
    rows = []
    for begins, first_day, last_day in steps(period, step):
        part = Period("", first_day, last_day, "")
        cells = [
            Cell(money.plain(total[begins]), each.link(part)) if total[begins] else Cell("0")
            for each, total in zip(series, totals, strict=True)
        ]
        # A period may begin in the middle of a step, such as a week. The bar is drawn at the first day of the
        # whole step, so that all bars are equally far apart.
        rows.append(Row(step_words(first_day, step), cells, begins))
    table = Table(f"{step.title()}, UTC", [Column(each.name) for each in series], rows)
    return Chart(
        title, sentence, f"{caption}, by {step}; days are UTC", table, drawn="bars", has_days=step == "day"
    )
