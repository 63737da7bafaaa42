"""The tables of a month: what moved, what products and features earned. Amounts are text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from django.urls import reverse

from backoffice.overview.links import entries
from foundation import money
from foundation.calendar import add_months
from foundation.charts import Cell, Column, Row, Table
from monetization.figures.periods import Period
from wallet.books import months
from wallet.books.months import LINES, OF_FEATURES, Month, Part, Total, sum_of
from wallet.history.products import name_of

# The line of what came into earlier months after they were closed.
LATE = "Late entries"
# What each line says, besides what its name says.
MEANINGS = {
    "sold": "Credits that users paid for at Stripe.",
    "granted": "Credits that products and staff gave, with an end.",
    "used": "Charges, those of holds included.",
    "given back": "Credits of charges that products or staff gave back.",
    "expired": "What grants had left when they ended, or were voided.",
    "clawed back": "Credits of payments that were refunded or disputed.",
    "reinstated": "Credits of refunds that failed, and of disputes that returned money.",
    "adjusted": "What staff added and took by hand.",
    LATE: "Entries that came into an earlier month after it was closed.",
}


@dataclass(frozen=True)
class Line:
    """One line of the statement. `url` leads to its entries; "" if there are none."""

    name: str
    meaning: str
    sum: Total
    url: str = ""

    @property
    def cells(self) -> list[tuple[str, str]]:
        """The columns with amounts, and the amounts."""
        amounts = (("Paid", self.sum.paid), ("Of grants", self.sum.granted), ("Total", self.sum.credits))
        return [(name, _signed(amount)) for name, amount in amounts]


def period_of(first_day: date) -> Period:
    """Return a month as a period of days."""
    return Period("", first_day, months.last_day_of(first_day), f"{first_day:%B %Y}")


def statement(month: Month) -> list[Line]:
    """Return the lines of a month between its opening and its closing."""
    lines = []
    for name, kinds in LINES.items():
        moved = month.line(name)
        url = entries(period_of(month.first_day), kinds=kinds) if moved.entries else ""
        lines.append(Line(name.capitalize(), MEANINGS[name], moved, url))
    if month.late:
        url = reverse("admin:month_end", args=[month.first_day]) + "#late_title"
        lines.append(Line(LATE, MEANINGS[LATE], month.booked, url))
    return lines


def revenue(month: Month) -> Table:
    """Return what each product and feature earned: credits used, less those given back."""
    columns = ("Used", "Given back", "Net", "Of grants", "Paid", "Entries")
    rows = []
    everything: list[Part] = []
    period = period_of(month.first_day)
    for (product, feature), parts in month.features().items():
        everything += parts
        named = {"feature__exact": feature} if feature else {}
        url = entries(period, kinds=OF_FEATURES, product=product, **named)
        rows.append(Row(f"{name_of(product) or 'No product'}, {feature}", _cells(parts, url)))
    if len(rows) > 1:
        rows.append(Row("Total", _cells(everything, "")))
    return Table("Product and feature", [Column(name) for name in columns], rows)


def _cells(parts: Sequence[Part], url: str) -> list[Cell]:
    used = sum_of(part for part in parts if part.kind in LINES["used"])
    back = sum_of(part for part in parts if part.kind in LINES["given back"])
    net = sum_of(parts)
    amounts = (-used.credits, back.credits, -net.credits, -net.granted, -net.paid)
    return [*(Cell(money.plain(each)) for each in amounts), Cell(money.plain(net.entries), url)]


def by_month(found: Sequence[Month]) -> Table:
    """Return the months as rows, with a column for each line."""
    has_late = any(month.late for month in found)
    lines = [*(name.capitalize() for name in LINES), *([LATE] if has_late else [])]
    rows = [Row(f"{month.first_day:%B %Y}", list(_row_of(month, lines)), month.first_day) for month in found]
    return Table("Month", [Column(name) for name in ("Opening", *lines, "Closing")], rows)


def _row_of(month: Month, lines: Sequence[str]) -> Iterator[Cell]:
    yield Cell(money.plain(month.opening))
    said = {line.name: line for line in statement(month)}
    for name in lines:
        line = said.get(name)
        yield Cell(_signed(line.sum.credits), line.url) if line else Cell("0")
    yield Cell(money.plain(month.ends.credits))


def _signed(credits: int) -> str:
    return money.signed(credits) if credits else "0"


def neighbors(month: Month, *, first: date, last: date) -> dict[str, date | None]:
    """Return the months before and after, if the ledger has them."""
    before, after = add_months(month.first_day, -1), add_months(month.first_day, 1)
    return {"before": before if before >= first else None, "after": after if after <= last else None}
