"""The view of the back-office's front page."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from backoffice.overview import attention, figures
from backoffice.overview.attention import Sees
from foundation.database import standby
from monetization.figures.periods import RANGE_DEFAULT, RANGES, Period, period_of
from wallet.books import days
from wallet.history.products import name_of
from wallet.models import ClosedDay

T = TypeVar("T")


def overview(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show the figures of the whole service, and what needs attention.

    Parts that the staff member may not see are left out. The address may name a period; the default is
    RANGE_DEFAULT. It may also name a product of the ledger; the default is all products.
    """
    staff = cast(User, request.user)
    if not staff.is_superuser:
        # The rights are those of now, so they are read first, from the primary.
        staff.get_all_permissions()
    return _page(site, request)


@standby.may_answer_late
def _page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    staff, at = cast(User, request.user), timezone.now()
    period = period_of(None, request.GET.get("range", ""), at=at)
    with figures.one_moment():
        products = days.products() if staff.has_perm("wallet.view_entry") else []
        product = request.GET.get("product", "")
        product = product if product in products else ""
        parts = _parts(period, product, at=at, sees=staff.has_perm)
    context = site.each_context(request) | {
        "title": "Overview",
        "period": period,
        "title_of_period": period.label.removeprefix("the ").capitalize(),
        "ranges": [
            {"name": words, "url": _address(name, product), "is_chosen": name == period.name}
            for name, words in RANGES.items()
            if name != "all"
        ],
        "range": "" if period.name == RANGE_DEFAULT else period.name,
        "product": product,
        "products": [(each, name_of(each)) for each in products],
        "product_name": name_of(product),
        "all_products_url": _address(period.name, ""),
    }
    return TemplateResponse(request, "backoffice/overview.html", context | parts)


def _parts(period: Period, product: str, *, at: datetime, sees: Sees) -> dict[str, Any]:
    """Return what the page shows.

    A part is None if the staff member may not see it, or if its query took too long. `too_slow` names the
    parts that took too long.
    """
    too_slow: list[str] = []

    def part(permission: str, name: str, read: Callable[[], T]) -> T | None:
        if not sees(permission):
            return None
        if (found := figures.in_time(read)) is None:
            too_slow.append(name)
        return found

    movements = part("wallet.view_entry", "what moved", lambda: figures.movements_of(period, product))
    change = movements.change if movements and not product else None
    return {
        "movements": movements,
        "balances": part("wallet.view_wallet", "the balances", lambda: figures.balances(period, change)),
        "tips": part("monetization.view_tip", "the tips", lambda: figures.tips_of(period)),
        "too_slow": too_slow,
        "attention": attention.lines(at=at, sees=sees),
        "checks": attention.checks() if sees("wallet.view_audit") else None,
        "sees_days": sees("wallet.view_closedday"),
        "newest_day": ClosedDay.objects.order_by("-day").first() if sees("wallet.view_closedday") else None,
    }


def _address(period: str, product: str) -> str:
    # The default range is left out, so that each page has only one address.
    query = {"range": "" if period == RANGE_DEFAULT else period, "product": product}
    query_string = urlencode({name: value for name, value in query.items() if value})
    return f"{reverse('admin:index')}{f'?{query_string}' if query_string else ''}#figures"
