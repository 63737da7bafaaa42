"""The front of the back-office."""

from typing import cast
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from backoffice.overview import figures as figures
from backoffice.overview.figures import PERIOD_DEFAULT, PERIODS
from wallet.history.products import name_of


def overview(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """What is so in the whole service, and what needs a person, as far as its reader may see it."""
    staff = cast(User, request.user)
    page = figures.overview_of(
        period=request.GET.get("range", ""),
        product=request.GET.get("product", ""),
        at=timezone.now(),
        sees=staff.has_perm,
    )
    context = site.each_context(request) | {
        "title": "Overview",
        "page": page,
        "title_of_period": page.period.label.removeprefix("the ").capitalize(),
        "ranges": [
            {"name": words, "url": _address(name, page.product), "is_chosen": name == page.period.name}
            for name, words in PERIODS.items()
        ],
        "range": "" if page.period.name == PERIOD_DEFAULT else page.period.name,
        "products": [(product, name_of(product)) for product in page.products],
        "product_name": name_of(page.product),
        "all_products_url": _address(page.period.name, ""),
    }
    return TemplateResponse(request, "backoffice/overview.html", context)


def _address(period: str, product: str) -> str:
    # The default stays out of the address, so that the page has one.
    asked = {"range": "" if period == PERIOD_DEFAULT else period, "product": product}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{reverse('admin:index')}{f'?{query}' if query else ''}#figures"
