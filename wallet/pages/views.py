"""The wallet's pages: what can be spent, what is held, the history, top-ups, the CSV file, and statements."""

import re
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from accounts.decorators import page_of_the_user
from accounts.throttling import hit
from foundation import money
from foundation.database import standby
from foundation.errors import BillingError, InvalidCursor
from foundation.forms import new_key
from foundation.http import content_security
from foundation.http.files import csv_file
from wallet.books.funds import Funds, funds_of
from wallet.books.models import Entry
from wallet.history import products, spending, statements
from wallet.pages import addresses, budgeted, chart, debts, granted, held, paced, tables, topup_news
from wallet.pages.addresses import user_of
from wallet.pages.forms import HistoryForm, TopUpForm, first_choice
from wallet.payments import checkout, return_urls
from wallet.prices import units
from wallet.prices.models import Rate

ENTRIES_A_PAGE = 25
SPENDING_ROWS_MAX = 20
# Without JavaScript, the page reloads itself at most LOOKS_MAX times, once every LOOK_EVERY_SECONDS.
LOOKS_MAX = 8
LOOK_EVERY_SECONDS = 4

TOO_OFTEN = "You started too many payments. Nothing was charged; please wait a minute."


# --- The wallet -------------------------------------------------------------------------------------


@content_security.leads_to_checkout
@page_of_the_user
@require_safe
def wallet(request: HttpRequest) -> HttpResponse:
    """Show what can be spent, the form to buy credits, what is held, the spending, and the history."""
    return _wallet_page(request)


@content_security.leads_to_checkout
@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def top_up(request: HttpRequest) -> HttpResponse:
    """Open a checkout and redirect the user to it. The same form sent twice opens only one checkout."""
    if request.method != "POST":
        # The user reloaded the page of a form with an error.
        return HttpResponseRedirect(addresses.address(request))
    form = TopUpForm(request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _wallet_page(request, form, status=400)
    user_id = user_of(request).pk
    dollars, key = form.cleaned_data["dollars"], form.cleaned_data["key"]
    count = hit("wallet.top-up", user_id, limit=settings.TOP_UPS_PER_MINUTE)
    if not count.allowed:
        headers = {"Retry-After": str(count.wait_seconds)}
        return _wallet_page(request, form, status=429, trouble=TOO_OFTEN, headers=headers)
    try:
        payment_url = checkout.start(
            user_id=user_id,
            amount_dollars=dollars,
            product=products.WALLET,
            return_url=addresses.coming_back(request),
            key=key,
        )
    except BillingError as error:
        # Keep the key while the checkout of this form is open. The user can then send the same form again and
        # still gets only one checkout.
        if not checkout.is_open(user_id=user_id, amount_dollars=dollars, key=key):
            form.renew_key()
        return _wallet_page(request, form, status=error.status, trouble=str(error), headers=error.headers)
    return HttpResponseRedirect(payment_url, status=303)


@cache_control(private=True, no_store=True)
@require_GET
def top_up_state(request: HttpRequest) -> HttpResponse:
    """Return the state of a checkout as JSON: paid, waiting, on_its_way, failed or unknown.

    While our books wait for the payment, this asks Stripe for the session.
    """
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    session_id = request.GET.get("session", "")
    news, _ = topup_news.latest_news_of(user_of(request).pk, outcome="success", session_id=session_id)
    return JsonResponse({"state": "failed" if news in ("expired", "by_hand") else news})


def _wallet_page(
    request: HttpRequest, form: TopUpForm | None = None, *, trouble: str = "", **answer: Any
) -> HttpResponse:
    """Return the wallet page.

    `trouble` is a sentence about an error. `answer` can have the status and the headers of the response.
    """
    user_id = user_of(request).pk
    # Read the news before the balance: if the news is "paid", the balance already includes the payment.
    news = _news_part(request, user_id)
    funds = funds_of(user_id)
    debt = debts.debt_of(funds)
    return_to = addresses.return_to(request)
    split = granted.split_of(funds)
    # What must come in before all granted credits can be spent, or anything at all.
    missing = max(0, -funds.available, debt.owed if debt else 0)
    has_history = Entry.objects.of_user(user_id).exists()
    context = {
        "funds": funds,
        "has_history": has_history,
        "held": held.held_of(funds),
        "debt": debt,
        "granted": granted.granted_of(funds),
        "split": split,
        **_budgets_part(request, user_id),
        "overheld": max(0, -split.paid_available) if not debt else 0,
        "reversed_url": addresses.filtered(request, kind="payments"),
        "form": form or TopUpForm(initial=first_choice(missing) | {"key": new_key()}),
        "trouble": trouble,
        "top_up_url": addresses.address(request, page="wallet:top-up"),
        "back": {"url": return_to, "name": return_urls.name_of(return_to)} if return_to else None,
        "on_their_way": checkout.on_their_way(user_id),
        "refunds_on_their_way": debts.refunds_on_their_way(user_id, debt),
        "rates": [
            (units.described(rate.label, rate.unit).label, units.in_words(rate.unit), rate.credits)
            for rate in Rate.objects.active()
        ],
        **news,
    }
    if has_history:
        context["paced"] = paced.paced_of(funds, today=chart.today())
        context |= _days_part(request, funds) | _history_part(request, user_id)
    return HttpResponse(render_to_string("wallet/wallet.html", context, request), **answer)


def _budgets_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """Return the user's budgets, each with the URL of the page that changes it."""
    all_budgets = budgeted.budgeted_of(user_id)
    url = partial(addresses.address, request, page="wallet:budget")
    return {
        "budgeted": all_budgets,
        "budget_lines": [
            (line, url(of=line.budget.product, period=line.budget.period)) for line in all_budgets.lines
        ],
        "budget_url": url(),
        "remove_budget_url": addresses.address(request, page="wallet:remove-budget"),
    }


def _news_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """Return the state of a checkout for the page.

    While the payment is not finished, the result has the URLs where the page asks for the state again.
    """
    session_id = request.GET.get("session", "")
    outcome = request.GET.get("wallet_topup", "")
    looks = request.GET.get("looks", "")
    looked = int(looks) if re.fullmatch("[0-9]{1,2}", looks) else 0
    # The first page does not wait for Stripe. Its script does, or its next load if there is no JavaScript.
    news_of = topup_news.latest_news_of if looked else topup_news.news_of
    news, topup = news_of(user_id, outcome=outcome, session_id=session_id)
    part: dict[str, Any] = {"news": news, "news_topup": topup}
    if topup and topup.entry:
        part["settled"] = min(topup.entry.credits, max(0, -debts.paid_before(topup.entry)))
    if news in ("waiting", "on_its_way"):
        part["state_url"] = reverse("wallet:top-up-state") + "?" + urlencode({"session": session_id})
    # Without JavaScript, the page waits only for card payments: a bank transfer can take days.
    if topup and news == "waiting":
        part["credits_paid"] = money.credits_from_cents(topup.amount_cents or 0)
        part["takes_longer"] = looked >= LOOKS_MAX
        if looked < LOOKS_MAX:
            returned = {"wallet_topup": "success"} | ({"session": session_id} if session_id else {})
            again = addresses.address(request, **returned, looks=str(looked + 1))
            part["look_again"] = {"url": again, "seconds": LOOK_EVERY_SECONDS}
    return part


def _days_part(request: HttpRequest, funds: Funds) -> dict[str, Any]:
    """Return the chart of the balance, and the spending, for the range of days in the URL."""
    chosen = request.GET.get("range", "")
    chosen = chosen if chosen in chart.RANGES else chart.RANGE_DEFAULT
    shown = chart.RANGES[chosen]
    today = chart.today()
    spent = spending.by_feature(user_id=funds.user_id, first_day=shown.first_day(today), last_day=today)
    rest = spent[SPENDING_ROWS_MAX:]
    return {
        "ranges": [
            {
                "name": each.name,
                "url": addresses.address(request, range=key) + "#days",
                "is_chosen": key == chosen,
            }
            for key, each in chart.RANGES.items()
        ],
        "range": shown,
        "chart": chart.chart_of(funds.user_id, shown, now=funds.balance),
        "spending": [(each, products.name_of(each.product)) for each in spent[:SPENDING_ROWS_MAX]],
        "spending_rest": {
            "features": len(rest),
            "credits": sum(each.credits for each in rest),
            "share_percent": sum(each.share_percent for each in rest),
        },
        "spending_total": sum(each.credits for each in spent),
    }


def _history_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """Return one page of entries, with the filters and the cursor from the URL."""
    features = units.features()
    filters = HistoryForm(
        addresses.chosen(request, *addresses.FILTERS), choices=spending.choices(user_id), features=features
    )
    choice = filters.choice()
    cursor = request.GET.get("cursor") or None
    lost = False
    try:
        page = statements.page(user_id=user_id, limit=ENTRIES_A_PAGE, cursor=cursor, choice=choice)
    except InvalidCursor:
        cursor, lost = None, True
        page = statements.page(user_id=user_id, limit=ENTRIES_A_PAGE, choice=choice)
    older = addresses.address(request, cursor=page.next_cursor) + "#history" if page.next_cursor else ""
    return {
        "filters": filters,
        "is_filtered": choice != statements.EVERYTHING,
        "kept": addresses.chosen(request, "returnTo", "range").items(),
        "entries": tables.described(page.entries, features),
        "page_is_lost": lost,
        "older_url": older,
        "newest_url": addresses.address(request, cursor="") + "#history" if cursor else "",
        "unfiltered_url": addresses.filtered(request),
        "csv_url": addresses.with_query(
            reverse("wallet:history-csv"), addresses.chosen(request, *addresses.FILTERS)
        ),
    }


# --- Files and statements ---------------------------------------------------------------------------


@page_of_the_user
@require_GET
def history_csv(request: HttpRequest) -> HttpResponseBase:
    """Return a CSV file of every entry that the filters in the URL select, newest first.

    If a filter is not valid, the user is redirected to the wallet page.
    """
    user_id = user_of(request).pk
    filters = HistoryForm(
        addresses.chosen(request, *addresses.FILTERS), choices=spending.choices(user_id), features={}
    )
    if not filters.is_valid():
        return HttpResponseRedirect(addresses.address(request) + "#history")
    rows = (tables.csv_row(entry) for entry in statements.history(user_id=user_id, choice=filters.choice()))
    owner = re.sub(r"[^A-Za-z0-9_-]+", "-", user_id)[:64].strip("-") or "user"
    return csv_file(f"wallet-{owner}-{chart.today()}.csv", tables.CSV_HEADER, rows)


@page_of_the_user
@require_safe
@standby.may_answer
def statement_list(request: HttpRequest) -> HttpResponse:
    """Show the list of months that have a statement."""
    context = {
        "months": statements.months(user_of(request).pk),
        "running": chart.today().replace(day=1),
    }
    return render(request, "wallet/statements.html", context)


@page_of_the_user
@require_safe
@standby.may_answer
def statement(request: HttpRequest, month: date) -> HttpResponse:
    """Show the statement of one month: the opening balance, the entries, and the closing balance."""
    user = user_of(request)
    summary = statements.month(user_id=user.pk, first_day=month)
    months = statements.months(user.pk)
    context = {
        "owner": user,
        "statement": summary,
        "is_complete": summary.last_day < chart.today(),
        "made_at": timezone.now(),
        "previous": max((each for each in months if each < month), default=None),
        "next": min((each for each in months if each > month), default=None),
        "kinds": [(tables.KIND_NAMES[each.kind], each) for each in summary.by_kind],
        "entries": tables.described(summary.entries, units.features()),
    }
    return render(request, "wallet/statement.html", context)
