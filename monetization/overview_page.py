"""What the creator's overview says, ready for its template: its figures, lists and sentences.

Nothing here writes. One page is of one currency. Amounts come as text; days are UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.models import ApiKey, User
from foundation import money
from foundation.money import figure
from foundation.words import NAME_SHOWN, NONE, count, day_words, shortened
from monetization import attention, changes, fees, list_pages, stats, supporters, timeline
from monetization.changes import Change
from monetization.figures import windows
from monetization.figures.windows import Window
from monetization.models import Sponsor, Subscription, Tip
from monetization.overview_charts import (
    Chart,
    Lane,
    Silence,
    income_chart,
    lanes_of,
    mrr_chart,
    silence_of,
    tips_chart,
)
from monetization.stats import Churn, Figures, Trend
from monetization.supporters import Supporter
from monetization.timeline import Timeline

ROWS_MAX = 5
MESSAGE_SHOWN = 80
LONG_FIGURE = 9  # Characters: 99,999.99 still fits.
EXAMPLE_TIP = 500  # In the smallest unit: 5.00 USD, 500 JPY.

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
    """One figure: what it comes to, what it is made of, and how it stands to the window before.

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
    """The six figures of a window, beside those of the equal one before; `then` is None without such.

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


# --- Lists ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TipLine:
    """A tip as a line; the message is cut, and empty where the creator hid it."""

    id: str
    at: datetime
    name: str
    gross: str
    fee: str
    net: str
    refunded: str
    message: str


@dataclass(frozen=True)
class SupporterLine:
    """A supporter as a line, for the creator's eyes alone, so with the whole address.

    `email` is where to write to, empty where there is nowhere; `shown_email` is it where the label is a name.
    """

    label: str
    shown_email: str
    email: str
    tips: str
    total: str


@dataclass(frozen=True)
class ChangeLine:
    """A change of a subscription as a line; `tone` is that of its tag."""

    at: datetime
    label: str
    tone: str
    who: str  # The reader's whole address; "Erased reader" after an erasure.
    plan: str
    mrr: str
    subscription_id: str


TONES = {
    "created": "good",
    "reactivated": "good",
    "past_due": "warn",
    "cancelled": "plain",
    "changed": "accent",
}


def newest_tips(creator: User, currency: str) -> list[Tip]:
    """The last few tips of a currency, the newest first."""
    tips = Tip.objects.visible_to(creator).filter(currency=currency)
    return list(tips.order_by("-created_at", "-pk")[:ROWS_MAX])


def tip_line(tip: Tip) -> TipLine:
    """One of them as a line."""
    return TipLine(
        id=tip.pk,
        at=tip.created_at.astimezone(UTC),
        name=shortened(list_pages.who_gave(tip), NAME_SHOWN),
        gross=figure(tip.gross_cents, tip.currency),
        fee=figure(tip.fee_cents, tip.currency),
        net=figure(tip.net_cents, tip.currency),
        refunded=figure(tip.refunded_cents, tip.currency) if tip.refunded_cents else "",
        message=shortened(tip.shown_message, MESSAGE_SHOWN),
    )


def supporter_line(one: Supporter, currency: str) -> SupporterLine:
    """A supporter as a line; where the address is what to call them, it isn't said twice."""
    label = one.name or one.email or one.label
    return SupporterLine(
        shortened(label, NAME_SHOWN),
        one.email if one.name else "",
        one.email,
        money.plain(one.tips),
        figure(one.total_cents, currency),
    )


def change_lines(creator: User, currency: str) -> list[ChangeLine]:
    """The last few changes of subscriptions, each with its reader's address."""
    found = changes.recent_changes(creator, currency)
    subscriptions = Subscription.objects.visible_to(creator).filter(
        pk__in=[each.subscription_id for each in found]
    )
    emails = dict(subscriptions.values_list("pk", "subscriber_email"))
    return [
        change_line(each, list_pages.shown_email(emails[each.subscription_id]), currency) for each in found
    ]


def change_line(change: Change, who: str, currency: str) -> ChangeLine:
    """A change as a line, its effect on MRR with a sign."""
    sign = "+" if change.mrr_cents > 0 else ""
    return ChangeLine(
        at=change.at.astimezone(UTC),
        label=change.label,
        tone=TONES.get(change.kind, "plain"),
        who=shortened(who, NAME_SHOWN),
        plan=shortened(change.plan, NAME_SHOWN),
        mrr=f"{sign}{figure(change.mrr_cents, currency)}",
        subscription_id=change.subscription_id,
    )


# --- Words ------------------------------------------------------------------------------------------


def plan_sentence(creator: User, currency: str) -> str:
    """What the creator's plan takes of a tip, with an example in the currency of the page."""
    plan = creator.plan
    share = fees.split(EXAMPLE_TIP, fee_bps=plan.fee_bps)
    gross, net = money.amount(share.gross_cents, currency), money.amount(share.net_cents, currency)
    return (
        f"Your plan: {plan.name} · platform fee {fees.percent(plan.fee_bps)} · a {gross} tip pays you {net}."
    )


@dataclass(frozen=True)
class Steps:
    """How far a new creator has come: a key that can record, a tip, a sponsor."""

    has_key: bool
    has_tip: bool
    has_sponsor: bool


def steps_of(creator: User, *, at: datetime) -> Steps | None:
    """The first three steps; None once all are done, or where so many tips came that nobody begins here."""
    tips = Tip.objects.visible_to(creator)[:ROWS_MAX].count()
    if tips == ROWS_MAX:
        return None
    keys = ApiKey.objects.filter(owner=creator, scopes__contains=["monetization"], revoked_at=None)
    steps = Steps(
        has_key=any(key.is_usable(at) for key in keys),
        has_tip=tips > 0,
        has_sponsor=Sponsor.objects.visible_to(creator).exists(),
    )
    return None if steps == Steps(True, True, True) else steps


def compared_with(window: Window) -> str:
    """What the trends compare with: "the 30 days before, 24 Sep 2026 to 23 Oct 2026"; empty for all time."""
    earlier = windows.before(window)
    if earlier is None:
        return ""
    return f"{earlier.label}, {day_words(earlier.first_day)} to {day_words(earlier.last_day)}"


def list_queries(window: Window, currency: str) -> dict[str, dict[str, str]]:
    """What the lists behind the figures are narrowed to, by the words of their addresses."""
    days = {"from": window.first_day.isoformat(), "to": window.last_day.isoformat()}
    return {"tips": days | {"currency": currency}, "subscriptions": {"currency": currency}}


# --- The page ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overview:
    """All that the page shows of a creator with records."""

    tiles: list[Tile]
    tips_chart: Chart
    silence: Silence | None
    mrr_chart: Chart
    income_chart: Chart
    timeline: Timeline
    today_column: int
    lanes: list[Lane]
    all_free: bool
    tips: list[TipLine]
    supporters: list[SupporterLine]
    changes: list[ChangeLine]
    attention: list[attention.Line]
    summary: str
    anybody_subscribes: bool  # In any currency.


def overview_of(creator: User, currency: str, window: Window, *, at: datetime) -> Overview:
    """The page of one currency and one window; the same number of queries however many rows there are."""
    found = stats.of_window(creator, window)
    now = found.get(currency, Figures())
    earlier = windows.before(window)
    then = stats.of_window(creator, earlier).get(currency, Figures()) if earlier else None
    newest = newest_tips(creator, currency)
    drawn = tips_chart(creator, currency, window, now)
    shown = timeline.six_weeks(creator, at=at)
    return Overview(
        tiles=tiles_of(now, then, currency, list_queries(window, currency)),
        tips_chart=drawn,
        silence=None if drawn.rows else silence_of(creator, window, newest, at=at),
        mrr_chart=mrr_chart(creator, currency, window),
        income_chart=income_chart(creator, currency, at=at),
        timeline=shown,
        today_column=shown.today_offset_days + 1,
        lanes=lanes_of(shown),
        all_free=not any(row.blocks for row in shown.rows),
        tips=[tip_line(each) for each in newest],
        supporters=[supporter_line(each, currency) for each in supporters.top(creator, currency, window)],
        changes=change_lines(creator, currency),
        attention=attention.lines(creator, at=at),
        summary=attention.summary(creator, at=at),
        anybody_subscribes=any(each.paying_subscribers for each in found.values()),
    )
