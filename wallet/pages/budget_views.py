"""Let a user set, change and remove the budgets that they set themselves."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_http_methods, require_POST

from accounts.decorators import page_of_the_user
from accounts.throttling import hit
from foundation import money
from wallet.books.funds import funds_of
from wallet.charges import budgets
from wallet.charges.models import Budget, Hold
from wallet.errors import TooManyBudgets
from wallet.history import products, spending
from wallet.pages import addresses
from wallet.pages.addresses import user_of
from wallet.pages.budget_forms import BudgetChoice, BudgetForm
from wallet.pages.budgeted import PERIODS, Line

BUDGETS_PER_MINUTE = 30  # Setting one counts what was spent in a month.
TOO_OFTEN = "You changed budgets too often. Nothing was saved; please wait a minute."
TOO_MANY = f"You have {budgets.BUDGETS_MAX} budgets, the most there can be. Remove one first."
USER = Budget.SetBy.USER


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest) -> HttpResponse:
    """Show the form to set a budget, and set it. `of` and `period` in the URL name one to change."""
    user_id = user_of(request).pk
    known = [Line(each) for each in budgets.budgets_of(user_id)]
    changed = _named(request, known)
    options: dict[str, Any] = {"known_products": _products_of(user_id, known)}
    if request.method != "POST":
        form = BudgetForm(initial=_initial(request, changed), **options)
        return _page(request, form, changed)
    form = BudgetForm(request.POST, **options)
    if not form.is_valid():
        return _page(request, form, changed, status=400)
    count = hit("wallet.budget", user_id, limit=BUDGETS_PER_MINUTE)
    if not count.allowed:
        headers = {"Retry-After": str(count.wait_seconds)}
        return _page(request, form, changed, status=429, trouble=TOO_OFTEN, headers=headers)
    chosen = form.cleaned_data
    try:
        budgets.set_budget(user_id=user_id, set_by=USER, **chosen)
    except TooManyBudgets as error:
        return _page(request, form, changed, status=error.status, trouble=TOO_MANY)
    messages.success(request, f"Saved. {_effect(**chosen)}")
    return HttpResponseRedirect(addresses.address(request), status=303)


@page_of_the_user
@require_POST
def remove_budget(request: HttpRequest) -> HttpResponse:
    """Remove a budget of the user. A second request changes nothing."""
    form = BudgetChoice(request.POST)
    if form.is_valid() and budgets.remove_budget(
        user_id=user_of(request).pk, set_by=USER, **form.cleaned_data
    ):
        charged = _charged(form.cleaned_data["product"])
        period = PERIODS[form.cleaned_data["period"]]
        messages.success(request, f"Removed. What {charged} can charge you {period} is no longer limited.")
    else:
        messages.info(request, "This budget was removed already.")
    return HttpResponseRedirect(addresses.address(request), status=303)


def _named(request: HttpRequest, known: list[Line]) -> Line | None:
    """Return the user's budget that the URL names; None if there is no such budget."""
    name = (USER, request.GET.get("of", ""), request.GET.get("period", ""))
    found = (line for line in known if (line.budget.set_by, line.budget.product, line.budget.period) == name)
    return next(found, None)


def _initial(request: HttpRequest, changed: Line | None) -> dict[str, Any]:
    period = Budget.Period.MONTH
    if changed is None:
        return {"product": request.GET.get("of", ""), "period": period}
    now = changed.budget
    return {"product": now.product, "period": now.period, "credits": money.plain(now.credits)}


def _products_of(user_id: str, known: list[Line]) -> list[str]:
    """Return the products that have something to do with this wallet, in alphabetical order."""
    found = set(spending.choices(user_id).products)
    found |= {grant.product for grant in funds_of(user_id).grants}
    found |= {line.budget.product for line in known}
    held = Hold.objects.filter(wallet_id=user_id, state=Hold.State.OPEN)
    found |= set(held.values_list("product", flat=True).distinct())
    return sorted(found - {"", products.WALLET})


def _charged(product: str) -> str:
    return products.name_of(product) or "Misar products"


def _effect(product: str, period: str, credits: int) -> str:
    """Return what a budget does, as a sentence."""
    if credits == 0:
        return f"{_charged(product)} can't charge you until you change or remove this budget."
    period_words = PERIODS[Budget.Period(period)]
    return f"{_charged(product)} can charge you at most {money.credits(credits)} {period_words}."


def _page(
    request: HttpRequest, form: BudgetForm, changed: Line | None, *, trouble: str = "", **answer: Any
) -> HttpResponse:
    context = {
        "form": form,
        "changed": changed,
        "trouble": trouble,
        "wallet_url": addresses.address(request) + "#budgets",
        "remove_url": addresses.address(request, page="wallet:remove-budget"),
    }
    return HttpResponse(render_to_string("wallet/budget.html", context, request), **answer)
