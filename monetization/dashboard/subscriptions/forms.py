"""The form that changes a subscription, and the filters of the list of subscriptions."""

from typing import Any, TypedDict

from django import forms
from django.db.models import Count, Q, Sum

from foundation.http.fields import PlainText
from monetization.dashboard.fields import Ruled, amount_field, cents_of
from monetization.dashboard.filters import FilterForm, Order, begins, choice_field, search_field
from monetization.figures import stats
from monetization.models import PLAN_LENGTH, PRICE_CENTS_MAX, Subscription

Status = Subscription.Status


class SubscriptionFilterForm(FilterForm):
    """Filters subscriptions by status, interval and currency, and by a reader, a plan or an id."""

    model = Subscription
    # Amounts of different currencies are not compared: each currency is a group of its own.
    orders = {
        "-date": Order("Newest first", ("-created_at", "-pk")),
        "date": Order("Oldest first", ("created_at", "pk")),
        "-mrr": Order("Largest MRR first", ("-currency", "-yearly_cents", "-pk")),
        "mrr": Order("Smallest MRR first", ("currency", "yearly_cents", "pk")),
        "-state": Order("Past due first", ("-status", "-created_at", "-pk")),
        "state": Order("Active first", ("status", "created_at", "pk")),
    }
    conditions = {
        "status": lambda status: Q(status=status),
        # Leave out cancelled subscriptions: even with a known interval, they would not be in MRR.
        "interval": lambda unknown: Q(interval=unknown) & ~Q(status=Subscription.Status.CANCELLED),
        "currency": lambda currency: Q(currency=currency),
        # The beginning of an e-mail address in any spelling, the beginning of a plan's name in upper or lower
        # case, or a whole id.
        "search": lambda text: (
            Subscription.mailbox_begins(text)
            | begins("plan", text)
            | Q(stripe_subscription_id=text)
            | Q(pk=text)
        ),
    }
    status = choice_field("Status", "All", Subscription.Status.choices)
    interval = choice_field("Billing interval", "All", [("unknown", "Not known, so not in MRR")])
    currency = choice_field("Currency", "All currencies")
    search = search_field("Email, plan or Stripe ID")

    def totals(self) -> list[dict[str, Any]]:
        """Return how many subscriptions match the filters, by state, and their MRR, with one query.

        There is one row per currency. The currency with the most subscriptions is first. MRR and the part of
        it that is at risk are rounded once, half up, as on the overview.
        """
        states = {f"{status}_count": Count("pk", filter=Q(status=status)) for status in Status}
        is_past_due = Q(status=Status.PAST_DUE)
        rows = (
            self.records()
            .order_by()
            .values("currency")
            .annotate(
                count=Count("pk"),
                yearly=Sum("yearly_cents"),
                yearly_at_risk=Sum("yearly_cents", filter=is_past_due, default=0),
                **states,
            )
        )
        return [
            row
            | {
                "mrr_cents": stats.mrr_of(row.pop("yearly")),
                "at_risk_cents": stats.mrr_of(row.pop("yearly_at_risk")),
            }
            for row in rows.order_by("-count", "currency")
        ]


class Terms(TypedDict, total=False):
    """The new values of a subscription. The amount is in the smallest unit of its currency."""

    status: str
    plan: str
    amount_cents: int


class SubscriptionForm(forms.Form):
    """A form for a subscription's new status, plan and price. The currency does not change.

    `seen` is the id of the newest event that the subscription had when the page was made.
    """

    status = forms.ChoiceField(
        choices=Subscription.Status.choices,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a status.", "invalid_choice": "Choose one of these."},
    )
    plan = Ruled(
        PlainText(max_length=PLAN_LENGTH),
        help_text="Its name says the billing interval in one word: weekly, monthly, quarterly or yearly.",
        error_messages={"required": "Write the plan's name."},
    )
    price = amount_field("Price")
    seen = forms.CharField(max_length=64, widget=forms.HiddenInput, required=False)
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, currency: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.currency = currency
        self.fields["price"].label = f"Price in {currency}"

    def clean_price(self) -> int:
        """Return the price in the currency's smallest unit."""
        return cents_of(self.cleaned_data["price"], self.currency, most=PRICE_CENTS_MAX)

    def terms(self) -> Terms:
        """Return the subscription's new values, with the parameter names of `subscriptions.change`."""
        data = self.cleaned_data
        return {"status": data["status"], "plan": data["plan"], "amount_cents": data["price"]}
