"""What the creator's overview says, ready for its template."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from foundation.words import day_words
from monetization.dashboard.overview.charts import (
    Chart,
    Lane,
    Silence,
    income_chart,
    lanes_of,
    mrr_chart,
    silence_of,
    tips_chart,
)
from monetization.dashboard.overview.lines import (
    ChangeLine,
    SupporterLine,
    TipLine,
    change_lines,
    newest_tips,
    supporter_line,
    tip_line,
)
from monetization.dashboard.overview.tiles import Tile, tiles_of
from monetization.figures import attention, periods, stats, supporters, timeline
from monetization.figures.periods import Period
from monetization.figures.stats import Figures
from monetization.figures.timeline import Timeline


def compared_with(period: Period) -> str:
    """What the trends compare with: "the 30 days before, 24 Sep 2026 to 23 Oct 2026"; empty for all time."""
    earlier = periods.before(period)
    if earlier is None:
        return ""
    return f"{earlier.label}, {day_words(earlier.first_day)} to {day_words(earlier.last_day)}"


def list_queries(period: Period, currency: str) -> dict[str, dict[str, str]]:
    """What the lists behind the figures are narrowed to, by the words of their addresses."""
    days = {"from": period.first_day.isoformat(), "to": period.last_day.isoformat()}
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


def overview_of(creator: User, currency: str, period: Period, *, at: datetime) -> Overview:
    """The page of one currency and one period; the same number of queries however many rows there are."""
    found = stats.of_period(creator, period)
    now = found.get(currency, Figures())
    earlier = periods.before(period)
    then = stats.of_period(creator, earlier).get(currency, Figures()) if earlier else None
    newest = newest_tips(creator, currency)
    drawn = tips_chart(creator, currency, period, now)
    shown = timeline.six_weeks(creator, at=at)
    return Overview(
        tiles=tiles_of(now, then, currency, list_queries(period, currency)),
        tips_chart=drawn,
        silence=None if drawn.rows else silence_of(creator, period, newest, at=at),
        mrr_chart=mrr_chart(creator, currency, period),
        income_chart=income_chart(creator, currency, at=at),
        timeline=shown,
        today_column=shown.today_offset_days + 1,
        lanes=lanes_of(shown),
        all_free=not any(row.blocks for row in shown.rows),
        tips=[tip_line(each) for each in newest],
        supporters=[supporter_line(each, currency) for each in supporters.top(creator, currency, period)],
        changes=change_lines(creator, currency),
        attention=attention.lines(creator, at=at),
        summary=attention.summary(creator, at=at),
        anybody_subscribes=any(each.paying_subscribers for each in found.values()),
    )
