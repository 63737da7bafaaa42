"""The views of the creator's overview page."""

from datetime import date, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.decorators import page_of_the_user
from accounts.models import User
from foundation import calendar, money
from foundation.database import standby
from foundation.words import day_words
from monetization.dashboard import curl, paging
from monetization.dashboard.overview import charts, dismissals, ranges, welcome
from monetization.dashboard.overview.dismissals import DismissalForm
from monetization.dashboard.overview.tiles import NOT_RECORDED, Series, Tiles
from monetization.dashboard.paging import user_of
from monetization.fields import DEFAULT_CURRENCY
from monetization.figures import attention, changes, churn, periods, series, stats, sums, supporters, timeline
from monetization.figures.attention import Line
from monetization.figures.periods import RANGE_DEFAULT, Period
from monetization.figures.series import MrrDay, TipDay
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
DISMISSED = {
    dismissals.FIRST_STEPS: "The first steps are dismissed.",
    dismissals.BOOKKEEPING: "Bookkeeping is dismissed. It comes back when there is something new.",
}


@page_of_the_user
@require_safe
@standby.may_answer
def overview(request: HttpRequest) -> HttpResponse:
    """Show the figures, charts and lists of one currency over one range.

    A creator without records sees only the first steps.
    """
    creator, at = user_of(request), timezone.now()
    currencies, dismissed = sums.currencies_of(creator), dismissals.of_creator(creator)
    currency = request.GET.get("currency", "")
    if currency not in currencies:
        currency = currencies[0] if currencies else DEFAULT_CURRENCY
    base_url = curl.base_url(request)
    context: dict[str, Any] = {
        "tab": "overview",
        "steps": None if dismissals.FIRST_STEPS in dismissed else welcome.steps_of(creator),
        "plan": welcome.plan_sentence(creator, currency),
        "currency": currency,
        "tips_curl": curl.curl_of("tips", base_url, at=at, currency=currency),
        "subscriptions_curl": curl.curl_of("subscriptions", base_url, at=at, currency=currency),
    }
    if currencies:
        period, chosen = ranges.period_of(creator, request.GET, at=at)
        days = chosen.days if period.name == periods.CHOSEN else _in_url("range", period.name, RANGE_DEFAULT)
        kept = _in_url("currency", currency, currencies[0])
        weeks_away = timeline.weeks_away(request.GET.get("weeks", ""))
        context |= _records(creator, currency, period, at) | {
            "timeline": timeline.six_weeks(creator, at=at, weeks_away=weeks_away),
            "ranges": [
                _choice(words, kept | _in_url("range", name, RANGE_DEFAULT), name == period.name)
                for name, words in periods.RANGES.items()
            ],
            "currencies": [
                _choice(code, days | _in_url("currency", code, currencies[0]), code == currency)
                for code in currencies
            ],
            "chosen": chosen,
            "kept": kept,
            "dismiss_url": paging.address("dismiss", kept | days),
            "attention": _attention(creator, dismissed, at),
        }
        if wider := context["wider_range"]:
            url = paging.address("overview", kept | {"range": wider})
            context["wider"] = {"name": periods.RANGES[wider], "url": url}
    return render(request, "monetization/overview.html", context)


@page_of_the_user
@require_POST
def dismiss(request: HttpRequest) -> HttpResponse:
    """Dismiss a part of the overview, and show the overview again for the same days and currency.

    The first steps can be dismissed once there are records.
    """
    creator, form = user_of(request), DismissalForm(request.POST)
    if form.is_valid() and sums.currencies_of(creator):
        part = form.cleaned_data["part"]
        dismissals.dismiss(creator, part, form.seen)
        messages.success(request, DISMISSED[part])
    kept = {name: request.GET.get(name, "") for name in ("range", "from", "to", "currency")}
    return redirect(paging.address("overview", kept))


def _attention(creator: User, dismissed: dict[str, Any], at: datetime) -> dict[str, list[Any]]:
    """Return the lines of each group with the URLs of their lists, without what the creator dismissed."""
    by_group: dict[str, list[Line]] = {}
    for line in attention.lines(creator, at=at):
        by_group.setdefault(line.group, []).append(line)
    by_group["bookkeeping"] = dismissals.not_dismissed(by_group.get("bookkeeping", []), dismissed)
    return {group: [(line, _list_of(line)) for line in lines] for group, lines in by_group.items()}


def _records(creator: User, currency: str, period: Period, at: datetime) -> dict[str, Any]:
    """Return what the page shows of the creator's records. More records do not need more queries."""
    figures, earlier = stats.of_period(creator, period), periods.before(period)
    now = figures.get(currency, Figures())
    then = stats.of_period(creator, earlier).get(currency, Figures()) if earlier else None
    than = earlier.label if earlier else ""
    by_day = series.tips_by_day(creator, currency, period)
    mrr = series.mrr_by_day(creator, currency, period)
    before = series.steps_before(creator, currency, period)
    made = Tiles(now, then, currency, earlier, _series(creator, currency, period, now, by_day, mrr))
    newest = Tip.objects.visible_to(creator).filter(currency=currency).order_by("-created_at", "-pk")
    tips = list(newest[:ROWS_MAX])
    tips_chart = charts.tips_chart(currency, period, now, by_day, before, than)
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
        "earned": made.earned(period),
        "not_recorded": NOT_RECORDED,
        "elsewhere": [
            money.amount(each.earned_cents, code)
            for code, each in figures.items()
            if code != currency and each.earned_cents
        ],
        "tiles": [(tile, paging.address(tile.tab, queries.get(tile.tab))) for tile in made.all()],
        "period": period,
        "range_title": period.label.removeprefix("the ").capitalize(),
        "compared_with": f"{earlier.label}, {day_words(earlier.first_day)} to {day_words(earlier.last_day)}"
        if earlier
        else "",
        "tips_chart": tips_chart,
        "mrr_chart": charts.mrr_chart(currency, period, mrr, before, than, is_over=period.until <= at),
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


def _series(
    creator: User, currency: str, period: Period, now: Figures, by_day: list[TipDay], mrr: list[MrrDay]
) -> Series:
    return Series(
        tips_net=[each.net_after_refunds_cents for each in by_day],
        tips=[each.tips for each in by_day],
        booked=series.booked_by_day(creator, currency, period),
        mrr=[each.mrr_cents for each in mrr],
        payers=series.payers_by_day(creator, currency, period, at_end=now.paying_subscribers),
        churn=churn.by_day(creator, currency, period, at_end=now.churn),
    )


def _wider_range(creator: User, period: Period, day: date, at: datetime) -> str:
    """Return the name of the next longer range that includes `day`; "" if no longer range includes it."""
    names = list(periods.RANGES)
    longer = names[names.index(period.name) + 1 :] if period.name in names else names
    return next(
        (name for name in longer if periods.period_of(creator, name, at=at).first_day <= day),
        "",
    )


def _in_url(name: str, value: str, default: str) -> dict[str, str]:
    """Return a parameter for a URL. A default value is left out, so that each page has only one URL."""
    return {name: "" if value == default else value}


def _choice(words: str, query: dict[str, str], is_chosen: bool) -> dict[str, Any]:
    return {"name": words, "url": paging.address("overview", query), "is_chosen": is_chosen}


def _list_of(line: attention.Line) -> str:
    page, query = LISTS[line.kind]
    return paging.address(page, query | {"position": line.position})
