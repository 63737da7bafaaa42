"""The tiles of the creator's overview. Each tile has a figure, its parts, and its change."""

from dataclasses import dataclass, replace

from foundation import money
from foundation.money import figure
from foundation.words import NONE, count
from monetization.figures import stats
from monetization.figures.stats import Churn, Figures, Trend

# How each figure is counted, with the same words as in docs/monetization.md.
DEFINITIONS = {
    "income": "Net minus the part of it that refunds took. Your payment processor's own fee is not "
    "deducted, since we don't know it.",
    "mrr": "Monthly recurring revenue now, from active and past-due subscriptions. Each counts with its "
    "income of a year (a month × 12, a quarter × 4, a week × 52); the exact sum is divided by 12 and rounded "
    "once, half up. Fees are not deducted; tips and sponsors are never included. Past due: the part of it "
    "from past-due subscriptions. A subscription is not counted if its plan's name does not clearly say one "
    "billing interval.",
    "subscribers": "Different readers with an active or past-due subscription. Joined: readers who pay now "
    "and did not when the period began. Cancelled: readers who paid then and no longer pay.",
    "churn": "The readers who were paying 30 days ago, how many of them no longer pay, and the percentage. A "
    "reader with two subscriptions who cancels one hasn't left.",
    "tips": "The amount tipped and the number of tips. Average: amount divided by number, rounded half up.",
    "sponsors": "Placements that begin in the period and weren't cancelled, and their prices: booked, not "
    "received. Active now: placements that run at this moment.",
}


@dataclass(frozen=True)
class Tile:
    """One figure: its amount or number, its parts, and how it changed since the period before.

    `tab` names the list with the rows behind the figure. `value` is a dash if there is nothing to count.
    """

    key: str
    label: str
    tab: str
    value: str
    unit: str = ""
    detail: str = ""
    trend: str = ""

    @property
    def definition(self) -> str:
        """How the figure is counted."""
        return DEFINITIONS[self.key]


def tiles_of(now: Figures, then: Figures | None, currency: str) -> list[Tile]:
    """Return the six tiles of a period.

    `now` are the figures of the period, and `then` are the figures of the period before. `then` is None if
    no earlier period exists.
    """

    def trend(name: str) -> str:
        before = None if then is None else getattr(then, name)
        return trend_words(
            stats.trend(getattr(now, name), before), before or 0, currency if name.endswith("_cents") else ""
        )

    income, mrr = figure(now.net_after_refunds_cents, currency), figure(now.mrr_cents, currency)
    mrr_parts = [f"{money.amount(now.at_risk_cents, currency)} of it past due"] if now.at_risk_cents else []
    if unknown := now.subscriptions_of_unknown_interval:
        mrr_parts.append(f"{count(unknown, 'subscription')} of unknown interval not counted")
    paying, tips = money.plain(now.paying_subscribers), money.plain(now.tips)
    readers = f"{money.plain(now.new_subscribers)} joined, {money.plain(now.left_subscribers)} cancelled"
    left = "No readers paid 30 days ago"
    if now.churn.of:
        left = f"{now.churn.left:,} of {now.churn.of:,} cancelled"
    booked = figure(now.sponsors_booked_cents, currency)
    active = f"{count(now.sponsors_booked, 'placement')}, {money.plain(now.sponsors_active_now)} active now"
    parts, average = _made_of(now, currency), _of_tips(now, currency)
    churn_trend = _trend_of_churn(now.churn, then.churn if then else None)
    return [
        Tile(
            "income",
            "Net income from tips",
            "tips",
            income,
            currency,
            parts,
            trend("net_after_refunds_cents"),
        ),
        Tile("mrr", "MRR", "subscriptions", mrr, currency, ", ".join(mrr_parts), trend("mrr_cents")),
        Tile(
            "subscribers",
            "Paying subscribers",
            "subscriptions",
            paying,
            "",
            readers,
            trend("paying_subscribers"),
        ),
        Tile("churn", "Churn, 30 days", "subscriptions", percent(now.churn), "", left, churn_trend),
        Tile("tips", "Tips", "tips", tips, "", average, trend("tips")),
        Tile(
            "sponsors",
            "Sponsors booked",
            "sponsors",
            booked,
            currency,
            active,
            trend("sponsors_booked_cents"),
        ),
    ]


def empty_tiles() -> list[Tile]:
    """Return the six tiles with dashes, for a creator without any record. A 0 would look like a result."""
    return [
        replace(each, value=NONE, unit="", detail="", trend="") for each in tiles_of(Figures(), None, "USD")
    ]


def percent(churn: Churn) -> str:
    """Return churn as a percentage, such as "2.5%"; a dash if no reader paid 30 days ago."""
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


def trend_words(trend: Trend, before: int, currency: str = "") -> str:
    """Return a trend in words, because a colour or an arrow alone is not enough."""
    if trend.kind == "none" or (trend.kind == "same" and before == 0):
        return ""
    if trend.kind == "same":
        return "Unchanged"
    if trend.kind == "new":
        return "New, none before"
    if trend.percent is None:
        return (
            f"{trend.kind.title()} from {money.amount(before, currency) if currency else money.plain(before)}"
        )
    return f"{trend.kind.title()} {f'{trend.percent:,}%' if trend.percent else 'by under 1%'}"


def _trend_of_churn(now: Churn, then: Churn | None) -> str:
    # The change of a percentage, in percent, is hard to read. So the text shows the earlier percentage.
    if then is None or then.percent is None or now.percent is None:
        return ""
    if now.percent == then.percent:
        return "Unchanged"
    return f"{'Up' if now.percent > then.percent else 'Down'} from {percent(then)}"
