"""The view of the creator's overview page."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.decorators import page_of_the_user
from accounts.models import User
from foundation import calendar
from foundation.database import standby
from foundation.words import day_words
from monetization.dashboard import curl, paging
from monetization.dashboard.overview import charts, tiles, welcome
from monetization.dashboard.paging import user_of
from monetization.fields import DEFAULT_CURRENCY
from monetization.figures import attention, changes, periods, stats, sums, supporters, timeline
from monetization.figures.periods import Period
from monetization.figures.stats import Figures
from monetization.models import Tip
from monetization.templatetags.records import giver, shown_email

ROWS_MAX = 5  # The number of tips in the list of the newest tips.
# The list that each kind of attention line links to, and the filter of that list.
LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "past_due": ("subscriptions", {"status": "past_due"}),
    "double_booked": ("sponsors", {}),
    "starting": ("sponsors", {"state": "upcoming"}),
    "ended": ("sponsors", {"state": "ended"}),
    "unknown_interval": ("subscriptions", {"interval": "unknown"}),
    "no_stripe_id": ("tips", {"stripe": "none"}),
}


@page_of_the_user
@require_safe
@standby.may_answer
def overview(request: HttpRequest) -> HttpResponse:
    """Show the figures, charts and lists of one currency over one range.

    A creator without records sees the first steps and empty tiles.
    """
    creator, at = user_of(request), timezone.now()
    currencies = sums.currencies_of(creator)
    currency = request.GET.get("currency", "")
    if currency not in currencies:
        currency = currencies[0] if currencies else DEFAULT_CURRENCY
    base_url = curl.base_url(request)
    context: dict[str, Any] = {
        "tab": "overview",
        "steps": welcome.steps_of(creator, at=at),
        "plan": welcome.plan_sentence(creator, currency),
        "currency": currency,
        "tips_curl": curl.curl_of("tips", base_url, at=at, currency=currency),
        "subscriptions_curl": curl.curl_of("subscriptions", base_url, at=at, currency=currency),
    }
    if currencies:
        period = periods.period_of(creator, request.GET.get("range", ""), at=at)
        # Default values are left out of the URL, so that each page has only one URL.
        state = {
            "range": "" if period.name == periods.RANGE_DEFAULT else period.name,
            "currency": "" if currency == currencies[0] else currency,
        }
        codes = {code: code for code in currencies}
        weeks_away = timeline.weeks_away(request.GET.get("weeks", ""))
        context |= _records(creator, currency, period, at) | {
            "timeline": timeline.six_weeks(creator, at=at, weeks_away=weeks_away),
            "ranges": _choices(state, "range", periods.RANGES, period.name, periods.RANGE_DEFAULT),
            "currencies": _choices(state, "currency", codes, currency, currencies[0]),
        }
        if wider := context["wider_range"]:
            context["wider"] = {"name": periods.RANGES[wider], "url": _address(state | {"range": wider})}
    else:
        context["tiles"] = [(tile, paging.address(tile.tab)) for tile in tiles.empty_tiles()]
    return render(request, "monetization/overview.html", context)


def _records(creator: User, currency: str, period: Period, at: datetime) -> dict[str, Any]:
    """Return what the page shows of the creator's records. More records do not need more queries."""
    figures, earlier = stats.of_period(creator, period), periods.before(period)
    now = figures.get(currency, Figures())
    then = stats.of_period(creator, earlier).get(currency, Figures()) if earlier else None
    newest = Tip.objects.visible_to(creator).filter(currency=currency).order_by("-created_at", "-pk")
    tips = list(newest[:ROWS_MAX])
    tips_chart = charts.tips_chart(creator, currency, period, now)
    # With these filters, the lists behind the figures show the rows that the figures count.
    queries = {
        "tips": {
            "from": period.first_day.isoformat(),
            "to": period.last_day.isoformat(),
            "currency": currency,
        },
        "subscriptions": {"currency": currency},
    }
    wider = ""
    if tips and not tips_chart:
        wider = _wider_range(creator, period, calendar.day_of(tips[0].created_at), at)
    return {
        "has_records": True,
        "summary": attention.summary(creator, at=at),
        "attention": [(line, _list_of(line)) for line in attention.lines(creator, at=at)],
        "tiles": [
            (tile, paging.address(tile.tab, queries.get(tile.tab)))
            for tile in tiles.tiles_of(now, then, currency)
        ],
        "period": period,
        "in_period": "so far" if period.name == "all" else f"in {period.label}",
        "range_title": period.label.removeprefix("the ").capitalize(),
        "compared_with": f"{earlier.label}, {day_words(earlier.first_day)} to {day_words(earlier.last_day)}"
        if earlier
        else "",
        "tips_chart": tips_chart,
        "mrr_chart": charts.mrr_chart(creator, currency, period),
        "income_chart": charts.income_chart(creator, currency, at=at),
        "wider_range": wider,
        "has_subscribers": any(each.paying_subscribers for each in figures.values()),
        "tips": [(tip, giver(tip)) for tip in tips],
        "supporters": supporters.top(creator, currency, period),
        "changes": [
            (
                change,
                shown_email(change.subscription.subscriber_email),
                changes.mrr_moved(change.yearly_cents_delta),
            )
            for change in changes.recent_changes(creator, currency)
        ],
        "tips_url": paging.address("tips", queries["tips"]),
        "all_tips_url": paging.address("tips", {"currency": currency}),
        "subscriptions_url": paging.address("subscriptions", queries["subscriptions"]),
    }


def _wider_range(creator: User, period: Period, day: date, at: datetime) -> str:
    """Return the name of the next longer range that includes `day`; "" if no longer range includes it."""
    names = list(periods.RANGES)
    return next(
        (
            name
            for name in names[names.index(period.name) + 1 :]
            if periods.period_of(creator, name, at=at).first_day <= day
        ),
        "",
    )


def _choices(
    state: dict[str, str], name: str, names: Mapping[str, str], chosen: str, default: str
) -> list[dict[str, Any]]:
    """Return the links of one choice (the range or the currency). A link does not change the other choice."""
    return [
        {
            "name": words,
            "url": _address(state | {name: "" if value == default else value}),
            "is_chosen": value == chosen,
        }
        for value, words in names.items()
    ]


def _list_of(line: attention.Line) -> str:
    page, query = LISTS[line.kind]
    return paging.address(page, query | {"position": line.position})


def _address(state: dict[str, str]) -> str:
    return paging.address("overview", state) + "#figures"
