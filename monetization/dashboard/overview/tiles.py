"""What the creator earned, and the tiles below it. Each has a figure, its parts, and its change."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from foundation import money
from foundation.comparisons import Change, change
from foundation.money import figure
from foundation.words import NONE, count
from monetization.dashboard.overview import sparklines
from monetization.figures.periods import Period
from monetization.figures.stats import Churn, Figures

# How each figure is counted, with the same words as in docs/monetization.md.
DEFINITIONS = {
    "earned": "What you keep of the tips, plus the prices of sponsors booked. A price counts in full on the "
    "day its placement begins, because nothing here says when it is paid.",
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
NOT_RECORDED = (
    "Not included: what subscribers pay, because no payments of theirs are recorded here, and the fee of "
    "your payment processor, which we don't know."
)


@dataclass(frozen=True)
class Tile:
    """One figure: its amount or number, its parts, and how it changed since the period before.

    `tab` names the list with the rows behind the figure; "" if it has no list. `value` is a dash if there is
    nothing to count. `spark` are the points of its small line; "" if there is no line.
    """

    key: str
    label: str
    tab: str
    value: str
    unit: str = ""
    detail: str = ""
    change: Change | None = None
    spark: str = ""

    @property
    def definition(self) -> str:
        """How the figure is counted."""
        return DEFINITIONS[self.key]


@dataclass(frozen=True)
class Series:
    """The figures of each step of the period, oldest first, for the small lines. A list may be empty."""

    tips_net: Sequence[int] = ()
    tips: Sequence[int] = ()
    booked: Sequence[int] = ()
    mrr: Sequence[int] = ()
    payers: Sequence[int] = ()
    churn: Sequence[float | None] = ()

    @property
    def earned(self) -> list[int]:
        """The running total, so the line ends at what was earned in the period."""
        return list(accumulate(map(add, self.tips_net, self.booked)))


class Tiles:
    """Makes the tiles of one currency.

    `now` are the figures of the period, and `then` are the figures of the period before, which `earlier`
    names. Both are None if no earlier period exists.
    """

    def __init__(
        self, now: Figures, then: Figures | None, currency: str, earlier: Period | None, series: Series
    ) -> None:
        self.now, self.then, self.currency, self.series = now, then, currency, series
        self.than = earlier.label if earlier else ""

    def earned(self, period: Period) -> Tile:
        """Return the page's first answer: what the creator earned in the period."""
        now = self.now
        label = f"You earned {period.within}"
        if now.earned_cents < 0:
            label = f"Refunds took more than you earned {period.within}"
        tips = self._amount(now.net_after_refunds_cents)
        booked = self._amount(now.sponsors_booked_cents)
        detail = f"{tips} from tips after fees and refunds, {booked} from "
        detail += f"{count(now.sponsors_booked, 'booked placement')}."
        return self._money("earned", label, "", "earned_cents", detail, self.series.earned)

    def all(self) -> list[Tile]:
        """Return the six tiles below the answer."""
        now, series = self.now, self.series
        readers = f"{money.plain(now.new_subscribers)} joined, {money.plain(now.left_subscribers)} cancelled"
        booked = count(now.sponsors_booked, "placement")
        if now.sponsors_active_now:
            booked += f", {money.plain(now.sponsors_active_now)} active now"
        return [
            self._money(
                "income",
                "Tips after fees",
                "tips",
                "net_after_refunds_cents",
                self._parts_of_income(),
                series.tips_net,
            ),
            self._money("mrr", "MRR", "subscriptions", "mrr_cents", self._parts_of_mrr(), series.mrr),
            self._number(
                "subscribers",
                "Paying subscribers",
                "subscriptions",
                "paying_subscribers",
                readers,
                series.payers,
            ),
            self._churn(),
            self._number("tips", "Tips", "tips", "tips", self._average(), series.tips),
            self._money(
                "sponsors", "Sponsors booked", "sponsors", "sponsors_booked_cents", booked, series.booked
            ),
        ]

    def _money(self, key: str, label: str, tab: str, name: str, detail: str, points: Sequence[int]) -> Tile:
        now, then = self._pair(name)
        changed = change(now, then, than=self.than, better="more", write=self._amount)
        spark = sparklines.points_of(points)
        return Tile(key, label, tab, figure(now, self.currency), self.currency, detail, changed, spark)

    def _number(self, key: str, label: str, tab: str, name: str, detail: str, points: Sequence[int]) -> Tile:
        now, then = self._pair(name)
        changed = change(now, then, than=self.than, better="more")
        return Tile(key, label, tab, money.plain(now), "", detail, changed, sparklines.points_of(points))

    def _churn(self) -> Tile:
        now, then = self.now.churn, self.then.churn if self.then else Churn()
        parts = f"{now.left:,} of {now.of:,} cancelled" if now.of else "No readers paid 30 days ago"
        changed = None
        # The change of a percentage, in percent, is hard to read. So the text has the earlier percentage.
        if then.percent is not None and now.percent is not None and now.percent != then.percent:
            before = f"from {percent(then)} in {self.than}"
            is_up = now.percent > then.percent
            changed = Change(f"Up {before}", "bad") if is_up else Change(f"Down {before}", "good")
        spark = sparklines.points_of(self.series.churn)
        return Tile("churn", "Churn, 30 days", "subscriptions", percent(now), "", parts, changed, spark)

    def _pair(self, name: str) -> tuple[int, int | None]:
        return getattr(self.now, name), None if self.then is None else getattr(self.then, name)

    def _amount(self, cents: int) -> str:
        return money.amount(cents, self.currency)

    def _parts_of_income(self) -> str:
        now = self.now
        if not (now.tips or now.refunds):
            return ""
        back = now.refunded_cents - now.fee_returned_cents
        refunds = f" \N{MINUS SIGN} {figure(back, self.currency)} refunds" if now.refunded_cents else ""
        gross, fee = figure(now.gross_cents, self.currency), figure(now.fee_cents, self.currency)
        return f"{gross} gross \N{MINUS SIGN} {fee} fee{refunds}"

    def _parts_of_mrr(self) -> str:
        parts = [f"{self._amount(self.now.at_risk_cents)} of it past due"] if self.now.at_risk_cents else []
        if unknown := self.now.subscriptions_of_unknown_interval:
            parts.append(f"{count(unknown, 'subscription')} of unknown interval not counted")
        return ", ".join(parts)

    def _average(self) -> str:
        if self.now.average_tip_cents is None:
            return ""
        average = figure(self.now.average_tip_cents, self.currency)
        return f"{self._amount(self.now.gross_cents)} gross, {average} on average"


def percent(churn: Churn) -> str:
    """Return churn as a percentage, such as "2.5%"; a dash if no reader paid 30 days ago."""
    return NONE if churn.percent is None else f"{churn.percent:g}%"
