"""The three charts of the creator's overview. A chart has one currency; days are UTC. No data is changed.

The last column of a chart is the period before, unless all its figures are 0.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from accounts.models import User
from foundation import money
from foundation.calendar import MONTHS_OF_A_YEAR
from foundation.charts import Cell, Chart, Column, Row, Table
from foundation.words import count, day_words
from monetization.figures import series
from monetization.figures.periods import Period, beginning_of, step_of, step_words
from monetization.figures.series import MrrDay, StepBefore, TipDay
from monetization.figures.stats import Figures

NOT_IN_INCOME = "What subscribers pay is not in it: no payments of theirs are recorded here."


def tips_chart(
    currency: str,
    period: Period,
    figures: Figures,
    points: Sequence[TipDay],
    before: Sequence[StepBefore],
    than: str,
) -> Chart | None:
    """Return a chart of tips and refunds, with one bar for each step; None if the period has neither.

    `than` names the period before.
    """
    if not figures.tips and not figures.refunds:
        return None
    step = step_of(period)
    sentences = [f"{count(figures.tips, 'tip')}, {money.amount(figures.gross_cents, currency)} gross."]
    if figures.tips > 1:
        most = max(points, key=lambda each: each.gross_cents)
        sentences.append(
            f"Highest: {step_words(most.day, step)}, {money.amount(most.gross_cents, currency)}."
        )
    if figures.refunds:
        sentences.append(f"{money.amount(figures.refunded_cents, currency)} went back to readers.")
    rows = [
        Row(
            step_words(each.day, step),
            _cells(
                currency,
                each.gross_cents,
                each.net_cents,
                each.gross_cents - each.net_cents,
                -each.refunded_cents,
            ),
            # A period may begin in the middle of a step, such as a week. The bar is drawn at the first day of
            # the whole step, so that all bars are equally far apart.
            beginning_of(each.day, step),
        )
        for each in points
    ]
    columns = [Column("Gross", None), Column("Net", 1), Column("Platform fee", 3), Column("Refunded", 2)]
    table = Table(f"{step.title()}, UTC", columns, rows)
    return Chart(
        title=f"Tips by {step}, {currency}",
        sentence=" ".join(sentences),
        caption=f"Tips by {step} in {currency}: gross is net and fee together; refunds are on the day they "
        "happened; days are UTC",
        table=_with_before(table, currency, f"Gross, {than}", [p.gross_cents for p in before]),
        drawn="bars",
        unit=currency,
        decimals=money.EXPONENTS[currency],
        has_days=step == "day",
    )


def mrr_chart(
    currency: str,
    period: Period,
    points: Sequence[MrrDay],
    before: Sequence[StepBefore],
    than: str,
    *,
    is_over: bool,
) -> Chart | None:
    """Return a chart of MRR at the end of each step; None if MRR is 0 at the end of every step.

    `than` names the period before. `is_over` says whether the period has ended. If not, its last point is
    the MRR now.
    """
    if not any(each.mrr_cents for each in points):
        return None
    first, last = points[0], points[-1]
    when = f"at the end of {day_words(last.last_day)}" if is_over else "now"
    sentence = f"{money.amount(last.mrr_cents, currency)} {when}"
    if len(points) > 1:
        at_first = money.amount(first.mrr_cents, currency)
        sentence += f", from {at_first} at the end of {day_words(first.last_day)}"
    rows = [Row(day_words(p.last_day), _cells(currency, p.mrr_cents), p.last_day) for p in points]
    table = Table("Day, UTC", [Column("MRR")], rows)
    return Chart(
        title=f"MRR, {currency}",
        sentence=f"{sentence}.",
        caption=f"Monthly recurring revenue at the end of each {step_of(period)}, in {currency}; "
        "days are UTC",
        table=_with_before(table, currency, f"MRR, {than}", [p.mrr_cents for p in before], color=1),
        drawn="steps",
        unit=currency,
        decimals=money.EXPONENTS[currency],
    )


def income_chart(creator: User, currency: str, *, at: datetime) -> Chart | None:
    """Return a chart of income from tips and sponsors in the last twelve months; None if there was none."""
    months = series.income_by_month(creator, currency, at=at, months=2 * MONTHS_OF_A_YEAR)
    before, points = months[:MONTHS_OF_A_YEAR], months[MONTHS_OF_A_YEAR:]
    if not any(each.tips_net_cents or each.sponsors_booked_cents for each in points):
        return None
    tips = money.amount(sum(each.tips_net_cents for each in points), currency)
    booked = money.amount(sum(each.sponsors_booked_cents for each in points), currency)
    rows = [
        Row(
            step_words(each.month, "month"),
            _cells(currency, each.tips_net_cents, each.sponsors_booked_cents),
            each.month,
        )
        for each in points
    ]
    columns = [Column("Tips, net", 1), Column("Sponsors, booked", 3)]
    table = Table("Month, UTC", columns, rows)
    a_year_before = [each.tips_net_cents + each.sponsors_booked_cents for each in before]
    return Chart(
        title=f"Income by month, {currency}, the last 12 months",
        sentence=f"{tips} from tips, net; {booked} of sponsors booked. {NOT_IN_INCOME}",
        caption=f"Income by month in {currency}: tips net of fee and refunds, sponsors by the day they "
        "begin; months are UTC",
        table=_with_before(table, currency, "Both, a year before", a_year_before),
        drawn="bars",
        unit=currency,
        decimals=money.EXPONENTS[currency],
        has_days=False,
    )


def _with_before(
    table: Table, currency: str, name: str, cents: Sequence[int], *, color: int | None = None
) -> Table:
    if not any(cents):
        return table
    rows = [
        replace(row, cells=[*row.cells, *_cells(currency, each)])
        for row, each in zip(table.rows, cents, strict=True)
    ]
    return replace(table, columns=[*table.columns, Column(name, color, is_before=True)], rows=rows)


def _cells(currency: str, *amounts: int) -> list[Cell]:
    return [Cell(money.figure(each, currency)) for each in amounts]
