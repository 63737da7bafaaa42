"""What a creator says a subscription has become."""

from typing import Any, TypedDict

from django import forms

from foundation import money
from foundation.http.fields import PlainText
from monetization.dashboard.fields import Ruled, amount_field, cents_of
from monetization.models import PLAN_LENGTH, PRICE_CENTS_MAX, Subscription

# --- Subscriptions ----------------------------------------------------------------------------------


class Wish(TypedDict, total=False):
    """What a subscription shall be; the amount is in its currency's smallest unit."""

    status: str
    plan: str
    amount_cents: int


class SubscriptionForm(forms.Form):
    """What a subscription has become: its status, its plan, its price in the currency it has.

    `seen` is the newest event of the subscription when the page was made.
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
    seen = forms.CharField(
        max_length=64,
        widget=forms.HiddenInput,
        required=False,
    )
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, currency: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.currency = currency
        self.fields["price"].label = f"Price in {currency}"
        self.fields["plan"].widget.attrs.setdefault("class", "input")

    def clean_price(self) -> int:
        """The price in the currency's smallest unit."""
        cents = cents_of(self.cleaned_data["price"], self.currency)
        if cents > PRICE_CENTS_MAX:
            raise forms.ValidationError(f"The most is {money.amount(PRICE_CENTS_MAX, self.currency)}.")
        return cents

    def wish(self) -> Wish:
        """What the subscription shall be, under the names of the verb."""
        data = self.cleaned_data
        return {"status": data["status"], "plan": data["plan"], "amount_cents": data["price"]}
