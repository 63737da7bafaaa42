"""The pages and the files of the end of the month."""

import logging
from datetime import date
from typing import cast

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.models import User
from backoffice.lists.read_only import EXPORT_PERMISSION
from backoffice.month_end import figures, files, stripe
from backoffice.overview.figures import in_time, one_moment
from foundation.calendar import add_months, day_of
from foundation.forms import FIRST_DAY
from foundation.http.files import csv_file
from wallet.books import months
from wallet.books.months import Month

logger = logging.getLogger(__name__)

PERMISSION = "wallet.view_closedmonth"
MONTHS_SHOWN = 24


def month_list(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show the newest 24 months, or with `before`, such as 2025-01, the 24 months before that one."""
    _require(request, PERMISSION)
    now = timezone.now()
    until = _month_in(request.GET.get("before", ""))
    with one_moment():
        first = months.first_month()
        found = in_time(lambda: months.newest(MONTHS_SHOWN, now=now, until=until and add_months(until, -1)))
    context = site.each_context(request) | {
        "title": "Month end",
        "too_slow": found is None,
        "months": found,
        "waiting": [month.first_day for month in found or [] if not month.closed_at],
        "this_month": day_of(now).replace(day=1),
        "table": figures.by_month(found or []),
        "older": found[-1].first_day if found and first and found[-1].first_day > first else None,
        "is_newest": until is None,
    }
    return TemplateResponse(request, "backoffice/month_ends.html", context)


def month_end(site: AdminSite, request: HttpRequest, month: date) -> HttpResponse:
    """Show one month: its statement, and what products and features earned."""
    _require(request, PERMISSION)
    with one_moment():
        found = in_time(lambda: _found(month))
    context = site.each_context(request) | {
        "title": f"{month:%B %Y}",
        "first_day": month,
        "too_slow": found is None,
    }
    if found:
        first = months.first_month() or month
        context |= {
            "month": found,
            "is_over": found.last_day < day_of(timezone.now()),
            "lines": figures.statement(found),
            "stripe": in_time(lambda: (stripe.side_of(month),)),
            "revenue": figures.revenue(found),
            "came_late": months.late_of(month),
            "may_take_files": request.user.has_perm(EXPORT_PERMISSION),
            **figures.neighbors(found, first=first, last=day_of(timezone.now())),
        }
    return TemplateResponse(request, "backoffice/month_end.html", context)


def summary_file(site: AdminSite, request: HttpRequest, month: date) -> HttpResponseBase:
    """The figures of a month as a CSV file. Amounts are credits."""
    _require(request, PERMISSION, EXPORT_PERMISSION)
    with one_moment():
        found = in_time(lambda: _found(month))
    if found is None:  # The page of the month says what to do.
        return redirect("admin:month_end", month)
    logger.info("%s took the month %s as a file.", request.user.pk, f"{month:%Y-%m}")
    return csv_file(f"month-{month:%Y-%m}.csv", files.HEADER, list(files.summary(found)))


def entries_file(site: AdminSite, request: HttpRequest, month: date) -> HttpResponseBase:
    """The entries of a month as a CSV file that is read while it is sent."""
    _require(request, PERMISSION, EXPORT_PERMISSION, "wallet.view_entry")
    period = figures.period_of(month)
    logger.info("%s took the entries of %s as a file.", request.user.pk, f"{month:%Y-%m}")
    rows = files.entries(period.since, period.until)
    return csv_file(f"entries-{month:%Y-%m}.csv", files.ENTRY_COLUMNS, rows)


def stripe_file(site: AdminSite, request: HttpRequest, month: date) -> HttpResponseBase:
    """What moved at Stripe in a month, as a CSV file that is read while it is sent."""
    _require(request, PERMISSION, EXPORT_PERMISSION)
    period = figures.period_of(month)
    logger.info("%s took Stripe's movements of %s as a file.", request.user.pk, f"{month:%Y-%m}")
    rows = files.movements(period.since, period.until)
    return csv_file(f"stripe-{month:%Y-%m}.csv", files.MOVEMENT_COLUMNS, rows)


def _found(month: date) -> Month:
    """Return a month of the ledger. Raises Http404 for a month before the first entry."""
    first = months.first_month()
    if first is None or month < first:
        raise Http404
    return months.month_of(month)


def _month_in(text: str) -> date | None:
    """Return the first day of a month such as 2026-10; None for other text, and for a month before 2000."""
    try:
        month = date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
    return month if month >= FIRST_DAY else None


def _require(request: HttpRequest, *permissions: str) -> None:
    if not cast(User, request.user).has_perms(permissions):
        raise PermissionDenied
