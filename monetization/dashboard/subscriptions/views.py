"""A creator's subscriptions: the list, its CSV file, and the page that shows and changes one subscription."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts.decorators import page_of_the_user
from foundation import money
from foundation.errors import BillingError
from monetization import subscriptions as verbs
from monetization.dashboard.filters import FilterForm
from monetization.dashboard.paging import RecordList, user_of
from monetization.dashboard.subscriptions.forms import SubscriptionFilterForm, SubscriptionForm
from monetization.dashboard.subscriptions.preview import preview_of
from monetization.errors import ChangedMeanwhile
from monetization.models import Subscription


class SubscriptionList(RecordList):
    """The list of subscriptions, with the totals of all that match the filters."""

    tab = "subscriptions"
    filter_form = SubscriptionFilterForm
    columns = {
        "subscription_id": "pk",
        "created_at": "created_at",
        "subscriber_email": "subscriber_email",
        "plan": "plan",
        "interval": "interval",
        "status": "status",
        "status_at": "status_at",
        "currency": "currency",
        "amount_cents": "amount_cents",
        "yearly_cents": lambda row, now: (
            None if row.interval == Subscription.Interval.UNKNOWN else row.yearly_cents
        ),
        "stripe_subscription_id": "stripe_subscription_id",
    }

    def more_context(self, form: FilterForm, records: list[Any]) -> dict[str, Any]:
        """Return the totals of all subscriptions that match the filters."""
        assert isinstance(form, SubscriptionFilterForm)
        totals = form.totals()
        return {"totals": totals, "found": sum(row["count"] for row in totals)}


@page_of_the_user
@require_http_methods(["GET", "HEAD", "POST"])
def change_subscription(request: HttpRequest, pk: str) -> HttpResponse:
    """Show one subscription. A POST previews a change and its effect on MRR.

    A second POST, with `confirmed`, makes the change.
    """
    subscription = get_object_or_404(Subscription.objects.visible_to(user_of(request)), pk=pk)
    if request.method != "POST":
        initial = {
            "status": subscription.status,
            "plan": subscription.plan,
            "seen": verbs.newest_event(subscription),
            "price": money.decimal_text(subscription.amount_cents, subscription.currency),
        }
        return _page(request, subscription, SubscriptionForm(initial=initial, currency=subscription.currency))
    form = SubscriptionForm(request.POST, currency=subscription.currency)
    if not form.is_valid():
        return _page(request, subscription, form, status=400)
    # Read the newest event before the row. If another process changes the subscription between the two
    # reads, this event is no longer the newest, and `change` raises ChangedMeanwhile.
    newest = verbs.newest_event(subscription)
    subscription.refresh_from_db()
    data, terms = form.cleaned_data, form.terms()
    preview = preview_of(subscription, **terms)
    if not preview.lines:
        # This also happens if the form was sent twice: the first request has made the change.
        messages.info(request, "The subscription is already like this, so nothing had to change.")
        return redirect("dashboard:subscription", pk=pk)
    is_stale = bool(data["confirmed"] or data["seen"]) and data["seen"] != str(newest)
    if is_stale or not data["confirmed"]:
        return _preview_page(request, subscription, form, is_stale=is_stale)
    # Pass only the values that change. Passing the same status again would set its time to now, and a
    # cancellation that Stripe reports late would then have no effect.
    different: dict[str, Any] = {
        name: value for name, value in terms.items() if getattr(subscription, name) != value
    }
    try:
        verbs.change(creator=user_of(request), subscription_id=pk, seen=newest, **different)
    except ChangedMeanwhile:
        return _preview_page(request, subscription, form, is_stale=True)
    except BillingError as error:
        form.add_error(None, f"{error}.")
        return _page(request, subscription, form, status=error.status)
    messages.success(request, f"Saved. {preview.effect}")
    return redirect("dashboard:subscription", pk=pk)


def _page(
    request: HttpRequest, subscription: Subscription, form: SubscriptionForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "tab": "subscriptions",
        "subscription": subscription,
        "form": form,
        "events": subscription.events.order_by("-pk"),
    }
    return render(request, "monetization/subscription.html", context, status=status)


def _preview_page(
    request: HttpRequest, subscription: Subscription, form: SubscriptionForm, *, is_stale: bool
) -> HttpResponse:
    seen = verbs.newest_event(subscription)
    subscription.refresh_from_db()
    sent = {name: form.data.get(name, "") for name in ("status", "plan", "price")}
    context = {
        "tab": "subscriptions",
        "subscription": subscription,
        "preview": preview_of(subscription, **form.terms()),
        "is_stale": is_stale,
        "sent": sent | {"seen": seen, "confirmed": "1"},
    }
    return render(request, "monetization/subscription_change.html", context, status=409 if is_stale else 200)
