"""The wallet's pages: the balance and what moved it, buying credits, the history as a file, statements."""

import re
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from accounts.decorators import page_of_the_user
from accounts.models import User
from accounts.throttling import hit
from foundation import money, spreadsheets
from foundation.errors import BillingError, InvalidCursor
from foundation.forms import new_key
from foundation.http import content_security
from wallet.books import ledger
from wallet.books.models import Wallet
from wallet.history import products, spending, statements
from wallet.pages import chart, months, tables, topup_news
from wallet.pages.forms import HistoryForm, TopUpForm, first_choice
from wallet.payments import checkout, return_urls
from wallet.prices.models import Rate

ENTRIES_A_PAGE = 25
# What narrows the history, and all that a link of the page keeps.
FILTERS = ("kind", "product", "feature", "from", "to")
STATE = ("returnTo", "range", *FILTERS, "cursor")
# Without JavaScript the page asks again so many times, this many seconds apart.
LOOKS_MAX = 8
LOOK_EVERY_SECONDS = 4

TOO_OFTEN = "Too many payments were begun in the last minute. Nothing was charged; please wait a minute."
# Percent signs make it longer, and the address Stripe brings the user back with must hold it whole.
RETURN_TO_LENGTH_MAX = 1500


# --- The wallet -------------------------------------------------------------------------------------


@content_security.leads_to_checkout
@page_of_the_user
@require_safe
def wallet(request: HttpRequest) -> HttpResponse:
    """The balance, a way to buy credits, what was spent and on what, and every entry."""
    return _wallet_page(request)


@content_security.leads_to_checkout
@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def top_up(request: HttpRequest) -> HttpResponse:
    """Open a checkout and send the user there; the same form sent twice comes to the same checkout."""
    if request.method != "POST":
        return HttpResponseRedirect(_address(request))  # The page of a refused form, opened again.
    form = TopUpForm(request.POST)
    if not form.is_valid():
        if "key" in form.errors:
            form.renew_key()
        return _wallet_page(request, form, status=400)
    user_id = _user(request).pk
    dollars, key = form.cleaned_data["dollars"], form.cleaned_data["key"]
    count = hit("wallet.top-up", user_id, limit=settings.TOP_UPS_PER_MINUTE)
    if not count.allowed:
        response = _wallet_page(request, form, status=429, trouble=TOO_OFTEN)
        response["Retry-After"] = str(count.wait_seconds)
        return response
    try:
        payment_url = checkout.start(
            user_id=user_id,
            amount_dollars=dollars,
            product=products.WALLET,
            return_url=_coming_back(request),
            key=key,
        )
    except BillingError as error:
        # The key stays while its checkout is open: of two sent at once, one may only have come too early.
        if not checkout.is_open(user_id=user_id, amount_dollars=dollars, key=key):
            form.renew_key()
        response = _wallet_page(request, form, status=error.status, trouble=str(error))
        for name, value in error.headers.items():
            response[name] = value
        return response
    return HttpResponseRedirect(payment_url, status=303)


@cache_control(private=True, no_store=True)
@require_GET
def top_up_state(request: HttpRequest) -> HttpResponse:
    """What has come of the checkout a page waits for: paid, waiting, on_its_way, failed, or unknown."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    session_id = request.GET.get("session", "")
    news = topup_news.news_of(_user(request).pk, outcome="success", session_id=session_id)
    return JsonResponse({"state": news.state})


@require_safe
def old_address(request: HttpRequest) -> HttpResponse:
    """Where the wallet was before, with whatever was asked of it."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(reverse("wallet:wallet") + (f"?{query}" if query else ""))


def _wallet_page(
    request: HttpRequest, form: TopUpForm | None = None, *, status: int = 200, trouble: str = ""
) -> HttpResponse:
    user_id = _user(request).pk
    wallet = Wallet.objects.filter(pk=user_id).first() or ledger.unopened(user_id)
    if form is None:
        form = TopUpForm(initial=first_choice(max(0, -wallet.balance)) | {"key": new_key()})
    return_to = _return_to(request)
    context = {
        "balance": money.plain(wallet.balance),
        "unit": money.unit(wallet.balance),
        "debt": topup_news.debt(wallet.balance) if wallet.balance < 0 else "",
        "has_history": wallet.entries_count > 0,
        "reversed_url": _filtered(request, kind="payments"),
        "form": form,
        "trouble": trouble,
        "top_up_url": _address(request, page="wallet:top-up"),
        "back": {"url": return_to, "name": return_urls.name_of(return_to)} if return_to else None,
        "on_their_way": [money.dollars(each.amount_cents or 0) for each in checkout.on_their_way(user_id)],
        "rates": list(Rate.objects.active()),
        **_news_part(request, user_id),
    }
    if wallet.entries_count:
        context |= _days_part(request, user_id) | _history_part(request, user_id)
    return render(request, "wallet/wallet.html", context, status=status)


def _news_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """What came of a checkout, and where to look again while that is not known."""
    session_id = request.GET.get("session", "")
    news = topup_news.news_of(user_id, outcome=request.GET.get("wallet_topup", ""), session_id=session_id)
    state_url = reverse("wallet:top-up-state") + "?" + urlencode({"session": session_id})
    # A bank takes days: the page shows the payment when it comes, and asks no one to wait.
    if news == topup_news.ON_ITS_WAY:
        return {"news": news, "state_url": state_url}
    if not news.is_waiting:
        return {"news": news}
    looks = request.GET.get("looks", "")
    looked = int(looks) if re.fullmatch("[0-9]{1,2}", looks) else 0
    asked = {"wallet_topup": "success"} | ({"session": session_id} if session_id else {})
    again = _address(request, **asked, looks=str(looked + 1))
    return {
        "news": news,
        "state_url": state_url,
        "look_again": {"url": again, "seconds": LOOK_EVERY_SECONDS} if looked < LOOKS_MAX else None,
        "takes_longer": looked >= LOOKS_MAX,
    }


def _days_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """The balance and the spending of the days that the address names."""
    chosen = request.GET.get("range", "")
    chosen = chosen if chosen in chart.RANGES else chart.RANGE_DEFAULT
    shown = chart.RANGES[chosen]
    ranges = [
        {"name": each.name, "url": _address(request, range=key) + "#days", "is_chosen": key == chosen}
        for key, each in chart.RANGES.items()
    ]
    return {
        "ranges": ranges,
        "range": shown,
        "chart": chart.chart_of(user_id, shown),
        "spending": tables.spending_of(user_id, shown),
    }


def _history_part(request: HttpRequest, user_id: str) -> dict[str, Any]:
    """One page of the entries that the address asks for."""
    labels = tables.labels_of_features()
    filters = HistoryForm(_chosen(request, *FILTERS), choices=spending.choices(user_id), labels=labels)
    choice = filters.choice()
    cursor = request.GET.get("cursor") or None
    lost = False
    try:
        page = statements.page(user_id=user_id, limit=ENTRIES_A_PAGE, cursor=cursor, choice=choice)
    except InvalidCursor:
        cursor, lost = None, True
        page = statements.page(user_id=user_id, limit=ENTRIES_A_PAGE, choice=choice)
    older = _address(request, cursor=page.next_cursor) + "#history" if page.next_cursor else ""
    return {
        "filters": filters,
        "is_filtered": choice != statements.EVERYTHING,
        "kept": _chosen(request, "returnTo", "range").items(),
        "entries": tables.history_rows(page.entries, labels),
        "page_is_lost": lost,
        "older_url": older,
        "newest_url": _address(request, cursor="") + "#history" if cursor else "",
        "unfiltered_url": _filtered(request),
        "csv_url": _with_query(reverse("wallet:history-csv"), _chosen(request, *FILTERS)),
    }


# --- Files and statements ---------------------------------------------------------------------------


@page_of_the_user
@require_GET
def history_csv(request: HttpRequest) -> HttpResponseBase:
    """Every entry under the filters of the page, newest first, as CSV; a wrong filter is told on the page."""
    user_id = _user(request).pk
    filters = HistoryForm(_chosen(request, *FILTERS), choices=spending.choices(user_id), labels={})
    if not filters.is_valid():
        return HttpResponseRedirect(_address(request) + "#history")
    rows = (tables.csv_row(entry) for entry in statements.history(user_id=user_id, choice=filters.choice()))
    response = StreamingHttpResponse(
        spreadsheets.rows_as_csv(tables.CSV_HEADER, rows), content_type="text/csv; charset=utf-8"
    )
    who = re.sub(r"[^A-Za-z0-9_-]+", "-", user_id)[:64].strip("-") or "user"
    response["Content-Disposition"] = f'attachment; filename="wallet-{who}-{chart.today()}.csv"'
    return response


@page_of_the_user
@require_safe
def statement_list(request: HttpRequest) -> HttpResponse:
    """The months that have a statement."""
    return render(request, "wallet/statements.html", {"years": months.years_of(_user(request).pk)})


@page_of_the_user
@require_safe
def statement(request: HttpRequest, month: str) -> HttpResponse:
    """One month, to be printed: opening, closing, and every move between them."""
    first_day = months.month_at(month)
    if first_day is None:
        raise Http404
    user = _user(request)
    made = statements.month(user_id=user.pk, first_day=first_day)
    neighbours = months.neighbours_of(user.pk, first_day)
    context = {
        "owner": user,
        "statement": made,
        "is_complete": made.last_day < chart.today(),
        "made_at": timezone.now(),
        "neighbours": neighbours,
        "totals": months.month_totals(made),
        "kinds": months.kind_rows(made),
        "entries": tables.history_rows(made.entries, tables.labels_of_features()),
        "entries_count": money.plain(made.entries_count),
        "days": months.day_rows(made) if not made.entries else [],
    }
    return render(request, "wallet/statement.html", context)


# --- Addresses --------------------------------------------------------------------------------------


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the view lets nobody else in"
    return request.user


def _return_to(request: HttpRequest) -> str:
    """Where the user wants to go back to, if they may be sent there."""
    url = request.GET.get("returnTo", "")
    fits = len(urlencode({"returnTo": url})) <= RETURN_TO_LENGTH_MAX
    return url if fits and return_urls.is_allowed(url) else ""


def _chosen(request: HttpRequest, *names: str) -> dict[str, str]:
    """What the address says of these, by its last word; an address that nobody may be sent to is not kept."""
    chosen = {name: request.GET[name] for name in names if request.GET.get(name)}
    if "returnTo" in chosen and not _return_to(request):
        del chosen["returnTo"]
    return chosen


def _address(request: HttpRequest, *, page: str = "wallet:wallet", **changes: str) -> str:
    """The page as it is asked for, with some of it changed; "" takes a part out."""
    state = _chosen(request, *STATE) | changes
    return _with_query(reverse(page), {name: value for name, value in state.items() if value})


def _filtered(request: HttpRequest, **filters: str) -> str:
    """The history under these filters and no others, with everything else of the address."""
    return _address(request, cursor="", **dict.fromkeys(FILTERS, "") | filters) + "#history"


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _coming_back(request: HttpRequest) -> str:
    """Where Stripe sends the user back to. After a payment it puts the session's id for the braces."""
    query = urlencode(_chosen(request, "returnTo"))
    return f"{reverse('wallet:wallet')}?{query}{'&' if query else ''}session={{CHECKOUT_SESSION_ID}}"
