"""What a creator enters about a subscription, and which subscriptions the list shows."""

from typing import Any, TypedDict

from django import forms
from django.db.models import Q

from foundation.http.fields import PlainText
from monetization.dashboard.fields import Ruled, amount_field, cents_of
from monetization.dashboard.filters import FilterForm, choice_field, search_field
from monetization.models import PLAN_LENGTH, PRICE_CENTS_MAX, Subscription


class SubscriptionFilterForm(FilterForm):
    """Subscriptions by status, billing interval and currency, or those of one reader or one Stripe id."""

    model = Subscription
    conditions = {
        "status": lambda status: Q(status=status),
        # A cancelled one is not missing from MRR.
        "interval": lambda unknown: Q(interval=unknown) & ~Q(status=Subscription.Status.CANCELLED),
        "currency": lambda currency: Q(currency=currency),
        # An e-mail address or its beginning, in any case, or a whole id.
        "search": lambda text: (
            Q(reader__startswith=text.lower()) | Q(stripe_subscription_id=text) | Q(pk=text)
        ),
    }
    status = choice_field("Status", "All", Subscription.Status.choices)
    interval = choice_field("Billing interval", "All", [("unknown", "Not known, so not in MRR")])
    currency = choice_field("Currency", "All currencies")
    search = search_field("E-mail or Stripe id")


class Terms(TypedDict, total=False):
    """What a subscription becomes; the amount is in its currency's smallest unit."""

    status: str
    plan: str
    amount_cents: int


class SubscriptionForm(forms.Form):
    """What a subscription has become: its status, its plan, its price in the currency it has.

    `seen` is the newest event of the subscription that the page showed.
    """

    status = forms.ChoiceField(
        choices=Subscription.Status.choices,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a status.", "invalid_choice": "Choose one of these."},
    )
    plan = Ruled(
        PlainText(max_length=PLAN_LENGTH),
        help_text="Its name says the billing interval: monthly, annual, quarterly, weekly.",
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
        """The price in the currency's smallest unit."""
        return cents_of(self.cleaned_data["price"], self.currency, most=PRICE_CENTS_MAX)

    def terms(self) -> Terms:
        """What the subscription becomes, under the names that the verb takes."""
        data = self.cleaned_data
        return {"status": data["status"], "plan": data["plan"], "amount_cents": data["price"]}
