"""What a creator does about a tip: a refund, hiding its message."""

from typing import Any

from django import forms

from foundation import money
from monetization.dashboard.fields import amount_field, cents_of
from monetization.models import Tip

# --- Tips -------------------------------------------------------------------------------------------


class RefundForm(forms.Form):
    """How much of a tip goes back to its reader, at most what is left of it.

    `seen` is what had been refunded when the page was made: from there, one refund goes on. `fee` is what of
    the fee would go back, as the preview said.
    """

    amount = amount_field("Amount")
    seen = forms.IntegerField(min_value=0, max_value=10**12, widget=forms.HiddenInput)
    fee = forms.IntegerField(required=False, min_value=0, max_value=10**12, widget=forms.HiddenInput)
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, tip: Tip, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tip = tip
        left = money.amount(tip.refundable_cents, tip.currency)
        self.fields["amount"].label = f"Amount in {tip.currency}"
        self.fields["amount"].help_text = f"At most {left}, what is left of this tip."

    def clean_amount(self) -> int:
        """The amount in the currency's smallest unit, above 0. What is left is the verb's to say."""
        # All that is left can go back, also where it is no multiple of the currency's step.
        left = self.tip.refundable_cents
        cents = cents_of(self.cleaned_data["amount"], self.tip.currency, whatever_step=left)
        if cents == 0:
            raise forms.ValidationError("Write an amount above 0.")
        return cents


class MessageForm(forms.Form):
    """Whether a tip's message is to be hidden."""

    hidden = forms.ChoiceField(choices=[("yes", "Hide"), ("no", "Show")])
