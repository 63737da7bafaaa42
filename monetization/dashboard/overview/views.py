"""The creator's overview: what they earned, from whom, and what to do next."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.decorators import page_of_the_user
from foundation import money
from monetization.dashboard import curl, paging
from monetization.dashboard.overview import welcome
from monetization.dashboard.overview.page import compared_with, list_queries, overview_of
from monetization.dashboard.overview.tiles import Tile, empty_tiles
from monetization.dashboard.paging import user_of
from monetization.fields import DEFAULT_CURRENCY
from monetization.figures import periods, stats
from monetization.figures.attention import Line

# Where the rows are that a line of the attention strip speaks of.
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
def overview(request: HttpRequest) -> HttpResponse:
    """The figures, charts and lists of one currency over one range; whoever begins here is shown how."""
    creator, at = user_of(request), timezone.now()
    currencies = stats.currencies_of(creator)
    context: dict[str, Any] = {"tab": "overview", "steps": welcome.steps_of(creator, at=at)}
    if not currencies:
        context |= _curls(request, DEFAULT_CURRENCY, at) | {
            "tiles": _with_addresses(empty_tiles()),
            "plan": welcome.plan_sentence(creator, DEFAULT_CURRENCY),
        }
        return render(request, "monetization/overview.html", context)
    currency = request.GET.get("currency", "")
    currency = currency if currency in currencies else currencies[0]
    period = periods.period_of(creator, request.GET.get("range", ""), at=at)
    page = overview_of(creator, currency, period, at=at)
    # The default stays out of the address, so that the page has one.
    state = {
        "range": "" if period.name == periods.RANGE_DEFAULT else period.name,
        "currency": "" if currency == currencies[0] else currency,
    }
    context |= _curls(request, currency, at) | {
        "page": page,
        "tiles": _with_addresses(page.tiles),
        "tips_url": paging.address("tips", list_queries(period, currency)["tips"]),
        "all_tips_url": paging.address("tips", {"currency": currency}),
        "subscriptions_url": paging.address("subscriptions", {"currency": currency}),
        "plan": welcome.plan_sentence(creator, currency),
        "attention": [(line, _list_of(line)) for line in page.attention],
        "period": period,
        "in_period": "so far" if period.name == "all" else f"in {period.label}",
        "range_title": period.label.removeprefix("the ").capitalize(),
        "compared_with": compared_with(period),
        "currency": currency,
        "decimals": money.EXPONENTS[currency],
        "ranges": _choices(state, "range", periods.RANGES, period.name, periods.RANGE_DEFAULT),
        "currencies": _choices(
            state, "currency", {code: code for code in currencies}, currency, currencies[0]
        ),
        "wider_url": _address(state | {"range": page.silence.wider}) if page.silence else "",
        "wider_name": periods.RANGES.get(page.silence.wider, "") if page.silence else "",
    }
    return render(request, "monetization/overview.html", context)


def _with_addresses(tiles: list[Tile]) -> list[tuple[Tile, str]]:
    return [(tile, paging.address(tile.tab, tile.query)) for tile in tiles]


def _curls(request: HttpRequest, currency: str, at: datetime) -> dict[str, str]:
    base_url = curl.base_url(request)
    return {
        f"{kind}_curl": curl.curl_of(kind, base_url, at=at, currency=currency)
        for kind in ("tips", "subscriptions")
    }


def _choices(
    state: dict[str, str], name: str, names: dict[str, str], chosen: str, default: str
) -> list[dict[str, Any]]:
    """The links of a choice, each keeping what else the address says."""
    return [
        {
            "name": words,
            "url": _address(state | {name: "" if value == default else value}),
            "is_chosen": value == chosen,
        }
        for value, words in names.items()
    ]


def _list_of(line: Line) -> str:
    page, query = LISTS[line.kind]
    if line.position:
        query = query | {"position": line.position}
    return paging.address(page, query)


def _address(state: dict[str, str]) -> str:
    return paging.address("overview", state)
