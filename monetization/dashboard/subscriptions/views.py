"""A creator's subscriptions: the list, its file, and one subscription with its history and its changes."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.decorators import page_of_the_user
from foundation import money, words
from foundation.errors import BillingError
from monetization import keyset
from monetization import subscriptions as verbs
from monetization.dashboard import csv_files, curl, paging, tags
from monetization.dashboard.paging import user_of
from monetization.dashboard.subscriptions import csv_rows, facts
from monetization.dashboard.subscriptions.filters import SubscriptionFilterForm
from monetization.dashboard.subscriptions.forms import SubscriptionForm
from monetization.dashboard.subscriptions.rows import status_tag, subscription_rows
from monetization.errors import ChangedMeanwhile
from monetization.figures import stats
from monetization.models import Subscription

FILTERS = ("status", "interval", "currency", "search")


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def subscriptions(request: HttpRequest) -> HttpResponse:
    """Every subscription under the filters, newest first; a search comes by POST (see listing)."""
    creator = user_of(request)
    asked = paging.asked_of(request, FILTERS)
    if request.method == "POST" and not asked.is_search:
        return paging.without_search("subscriptions", asked)
    form = SubscriptionFilterForm(asked.filters, currencies=stats.currencies_of(creator))
    page = paging.context_of("subscriptions", asked, form.chosen().apply(creator))
    context = {
        **page,
        "tab": "subscriptions",
        "filters": form,
        "subscriptions": subscription_rows(page["records"]),
        "curl": curl.line_for(request, "subscriptions"),
    }
    return render(request, "monetization/subscriptions.html", context)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def subscriptions_csv(request: HttpRequest) -> HttpResponseBase:
    """The same subscriptions as a file; a wrong filter is told on the page."""
    creator = user_of(request)
    asked = paging.asked_of(request, FILTERS)
    form = SubscriptionFilterForm(asked.filters, currencies=stats.currencies_of(creator))
    if not form.is_valid():
        return paging.without_search("subscriptions", asked)
    rows = (csv_rows.subscription_csv_row(each) for each in keyset.every_row(form.chosen().apply(creator)))
    return csv_files.csv_answer(request, "subscriptions", csv_rows.SUBSCRIPTION_CSV_HEADER, rows)


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def change_subscription(request: HttpRequest, pk: str) -> HttpResponse:
    """One subscription. A change is shown with what it does to MRR, and made once it is confirmed."""
    subscription = Subscription.objects.visible_to(user_of(request)).filter(pk=pk).first()
    if subscription is None:
        raise Http404
    if request.method != "POST":
        return _page(request, subscription, _form_of(subscription))
    form = SubscriptionForm(request.POST, currency=subscription.currency)
    if not form.is_valid():
        return _page(request, subscription, form, status=400)
    # The event before the row: whatever comes between the two makes the event an old one.
    newest = verbs.newest_event(subscription)
    subscription.refresh_from_db()
    data, wish = form.cleaned_data, form.wish()
    plan = facts.planned(subscription, **wish)
    if not plan.lines:
        # Also where the form was sent twice: the first has done it.
        messages.info(request, "Everything is as you asked; nothing had to change.")
        return redirect("dashboard:subscription", pk=pk)
    is_stale = bool(data["confirmed"] or data["seen"]) and data["seen"] != str(newest)
    if is_stale or not data["confirmed"]:
        return _preview_page(request, subscription, form, is_stale=is_stale)
    # What stays is not sent: a status said again would shut out a cancellation that Stripe tells late.
    different: dict[str, Any] = {
        name: value for name, value in wish.items() if getattr(subscription, name) != value
    }
    try:
        changed = verbs.change(creator=user_of(request), subscription_id=pk, seen=newest, **different)
    except ChangedMeanwhile:
        return _preview_page(request, subscription, form, is_stale=True)
    except BillingError as error:
        form.add_error(None, f"{error}.")
        return _page(request, subscription, form, status=error.status)
    if facts.planned(changed, **wish).lines:
        messages.warning(request, "A later change is known already, so not all of yours was made.")
    else:
        messages.success(request, f"Saved. {plan.effect}")
    return redirect("dashboard:subscription", pk=pk)


def _form_of(subscription: Subscription) -> SubscriptionForm:
    initial = {
        "status": subscription.status,
        "plan": subscription.plan,
        "seen": verbs.newest_event(subscription),
        "price": money.decimal_text(subscription.amount_cents, subscription.currency),
    }
    return SubscriptionForm(initial=initial, currency=subscription.currency)


def _page(
    request: HttpRequest, subscription: Subscription, form: SubscriptionForm, *, status: int = 200
) -> HttpResponse:
    events = subscription.events.order_by("-pk")
    context = _about(subscription) | {
        "form": form,
        "facts": facts.subscription_facts(subscription),
        "events": facts.event_rows(list(events)),
    }
    return render(request, "monetization/subscription.html", context, status=status)


def _preview_page(
    request: HttpRequest,
    subscription: Subscription,
    form: SubscriptionForm,
    *,
    is_stale: bool,
) -> HttpResponse:
    seen = verbs.newest_event(subscription)
    subscription.refresh_from_db()
    sent = {name: form.data.get(name, "") for name in ("status", "plan", "price")}
    context = _about(subscription) | {
        "planned": facts.planned(subscription, **form.wish()),
        "is_stale": is_stale,
        "sent": list((sent | {"seen": seen, "confirmed": "1"}).items()),
    }
    return render(request, "monetization/subscription_change.html", context, status=409 if is_stale else 200)


def _about(subscription: Subscription) -> dict[str, Any]:
    email = tags.shown_email(subscription.subscriber_email)
    return {
        "tab": "subscriptions",
        "subscription": subscription,
        "email": email,
        "short_email": words.shortened(email, words.NAME_SHOWN),
        "status": status_tag(subscription.status),
    }
