"""The three charts of the creator's overview. A chart has one currency; days are UTC. No data is changed."""

from datetime import datetime

from accounts.models import User
from foundation import money
from foundation.charts import Cell, Chart, Column, Row, Table
from foundation.words import count, day_words
from monetization.figures import series
from monetization.figures.periods import Period, beginning_of, step_of, step_words
from monetization.figures.stats import Figures

NOT_IN_INCOME = "What subscribers pay is not in it: no payments of theirs are recorded here."


def tips_chart(creator: User, currency: str, period: Period, figures: Figures) -> Chart | None:
    """Return a chart of tips and refunds, with one bar for each step; None if the period has neither."""
    if not figures.tips and not figures.refunds:
        return None
    step = step_of(period)
    points = series.tips_by_day(creator, currency, period)
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
    return Chart(
        title=f"Tips by {step}, {currency}",
        sentence=" ".join(sentences),
        caption=f"Tips by {step} in {currency}: gross is net and fee together; refunds are on the day they "
        "happened; days are UTC",
        table=Table(f"{step.title()}, UTC", columns, rows),
        drawn="bars",
        unit=currency,
        decimals=money.EXPONENTS[currency],
        has_days=step == "day",
    )


def mrr_chart(creator: User, currency: str, period: Period) -> Chart | None:
    """Return a chart of MRR at the end of each step; None if MRR is 0 at the end of every step."""
    points = series.mrr_by_day(creator, currency, period)
    if not any(each.mrr_cents for each in points):
        return None
    first, last = points[0], points[-1]
    sentence = f"{money.amount(last.mrr_cents, currency)} now"
    if len(points) > 1:
        before = money.amount(first.mrr_cents, currency)
        sentence += f", from {before} at the end of {day_words(first.last_day)}"
    rows = [Row(day_words(p.last_day), _cells(currency, p.mrr_cents), p.last_day) for p in points]
    return Chart(
        title=f"MRR, {currency}",
        sentence=f"{sentence}.",
        caption=f"Monthly recurring revenue at the end of each {step_of(period)}, in {currency}; "
        "days are UTC",
        table=Table("Day, UTC", [Column("MRR")], rows),
        drawn="steps",
        unit=currency,
        decimals=money.EXPONENTS[currency],
    )


def income_chart(creator: User, currency: str, *, at: datetime) -> Chart | None:
    """Return a chart of income from tips and sponsors in the last twelve months; None if there was none."""
    points = series.income_by_month(creator, currency, at=at)
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
    return Chart(
        title=f"Income by month, {currency}, the last 12 months",
        sentence=f"{tips} from tips, net; {booked} of sponsors booked. {NOT_IN_INCOME}",
        caption=f"Income by month in {currency}: tips net of fee and refunds, sponsors by the day they "
        "begin; months are UTC",
        table=Table("Month, UTC", [Column("Tips, net", 1), Column("Sponsors, booked", 3)], rows),
        drawn="bars",
        unit=currency,
        decimals=money.EXPONENTS[currency],
        has_days=False,
    )


def _cells(currency: str, *amounts: int) -> list[Cell]:
    return [Cell(money.figure(each, currency)) for each in amounts]
