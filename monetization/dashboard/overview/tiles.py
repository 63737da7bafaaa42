"""The tiles of the overview: a figure, what it is made of, and its change."""

from dataclasses import dataclass

from foundation import money
from foundation.money import figure
from foundation.words import NONE, count
from monetization.figures import stats
from monetization.figures.stats import Churn, Figures, Trend

LONG_FIGURE = 9  # Characters: 99,999.99 still fits.

# How each figure is counted, in the words of docs/monetization.md.
DEFINITIONS = {
    "income": "Net less what refunds took of it. Before your payment processor's own fee, which we don't "
    "know.",
    "mrr": "Monthly recurring revenue now: active and past-due subscriptions, a year's worth divided by 12 "
    "(a month × 12, a quarter × 4, a week × 52), summed exactly and rounded once, half up. Gross of fees; "
    "tips and sponsors are never in it. Past due: the part of it that past-due subscriptions bring.",
    "subscribers": "Different readers with an active or past-due subscription. Joined: readers who pay now "
    "and did not when the period began. Cancelled: readers who paid then and pay no longer.",
    "churn": "Of the readers who paid 30 days ago, how many pay no longer. A reader with two subscriptions "
    "who cancels one hasn't left.",
    "tips": "What readers tipped in the period. On average: what they tipped divided by how many tips, "
    "rounded half up.",
    "sponsors": "Placements that begin in the period and weren't cancelled, and their prices: booked, not "
    "received. Active now: placements that run at this moment.",
}


# --- Tiles ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One figure: what it comes to, what it is made of, and how it stands to the period before.

    `tab` is the list with the rows behind it, `query` what that list is narrowed to; `value` is a dash where
    nothing is counted.
    """

    key: str
    label: str
    value: str
    unit: str
    detail: str
    trend: str
    tab: str
    query: dict[str, str]
    definition: str

    @property
    def is_long(self) -> bool:
        """Whether a small screen must write it smaller."""
        return len(self.value) > LONG_FIGURE


def tiles_of(
    now: Figures, then: Figures | None, currency: str, queries: dict[str, dict[str, str]] | None = None
) -> list[Tile]:
    """The six figures of a period, beside those of the equal one before; `then` is None without such.

    `queries` is what each list is narrowed to, by its name, so that it shows the rows of the figure.
    """

    def tile(key: str, label: str, value: str, detail: str, trend: str, tab: str, unit: str = "") -> Tile:
        query = (queries or {}).get(tab, {})
        return Tile(key, label, value, unit, detail, trend, tab, query, DEFINITIONS[key])

    return [
        tile(
            "income",
            "Net income from tips",
            figure(now.net_after_refunds_cents, currency),
            _made_of(now, currency),
            _trend_of(now, then, "net_after_refunds_cents", currency),
            "tips",
            currency,
        ),
        tile(
            "mrr",
            "MRR",
            figure(now.mrr_cents, currency),
            f"{money.amount(now.at_risk_cents, currency)} of it past due" if now.at_risk_cents else "",
            _trend_of(now, then, "mrr_cents", currency),
            "subscriptions",
            currency,
        ),
        tile(
            "subscribers",
            "Paying subscribers",
            money.plain(now.paying_subscribers),
            f"{money.plain(now.new_subscribers)} joined, {money.plain(now.left_subscribers)} cancelled",
            _trend_of(now, then, "paying_subscribers"),
            "subscriptions",
        ),
        tile(
            "churn",
            "Churn, 30 days",
            percent(now.churn),
            f"{now.churn.left:,} of {now.churn.of:,} cancelled"
            if now.churn.of
            else "Nobody paid 30 days ago",
            _trend_of_churn(now.churn, then.churn if then else None),
            "subscriptions",
        ),
        tile(
            "tips",
            "Tips",
            money.plain(now.tips),
            _of_tips(now, currency),
            _trend_of(now, then, "tips"),
            "tips",
        ),
        tile(
            "sponsors",
            "Sponsors booked",
            figure(now.sponsors_booked_cents, currency),
            f"{count(now.sponsors_booked, 'placement')}, {money.plain(now.sponsors_active_now)} active now",
            _trend_of(now, then, "sponsors_booked_cents", currency),
            "sponsors",
            currency,
        ),
    ]


def empty_tiles() -> list[Tile]:
    """The same tiles for a creator with no record at all: 0 would be a claim."""
    return [
        Tile(each.key, each.label, NONE, "", "", "", each.tab, {}, each.definition)
        for each in tiles_of(Figures(), None, "USD")
    ]


def percent(churn: Churn) -> str:
    """Churn as people read it: "2.5%", a dash where nobody could leave."""
    return NONE if churn.percent is None else f"{churn.percent:g}%"


def _made_of(now: Figures, currency: str) -> str:
    back = now.refunded_cents - now.fee_returned_cents
    refunds = f" \N{MINUS SIGN} {figure(back, currency)} refunds" if now.refunded_cents else ""
    gross, fee = figure(now.gross_cents, currency), figure(now.fee_cents, currency)
    return f"{gross} gross \N{MINUS SIGN} {fee} fee{refunds}" if now.tips or now.refunds else ""


def _of_tips(now: Figures, currency: str) -> str:
    if now.average_tip_cents is None:
        return ""
    average = figure(now.average_tip_cents, currency)
    return f"{money.amount(now.gross_cents, currency)} gross, {average} on average"


# --- Trends -----------------------------------------------------------------------------------------


def _trend_of(now: Figures, then: Figures | None, name: str, currency: str = "") -> str:
    before = None if then is None else getattr(then, name)
    return trend_words(stats.trend(getattr(now, name), before), before or 0, currency)


def trend_words(trend: Trend, before: int, currency: str = "") -> str:
    """A trend in words: the page never says it by colour or arrow alone."""
    if trend.kind == "none" or (trend.kind == "same" and before == 0):
        return ""
    if trend.kind == "same":
        return "Unchanged"
    if trend.kind == "new":
        return "New, none before"
    if trend.percent is None:
        was = money.amount(before, currency) if currency else money.plain(before)
        return f"{trend.kind.title()} from {was}"
    return (
        f"{trend.kind.title()} {trend.percent:,}%" if trend.percent else f"{trend.kind.title()} by under 1%"
    )


def _trend_of_churn(now: Churn, then: Churn | None) -> str:
    # The percent of a percent would say nothing to anybody: the earlier share itself does.
    if then is None or then.percent is None or now.percent is None:
        return ""
    if now.percent == then.percent:
        return "Unchanged"
    return f"{'Up' if now.percent > then.percent else 'Down'} from {percent(then)}"
