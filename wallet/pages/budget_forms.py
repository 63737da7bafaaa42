"""The forms with which a user sets and removes a budget."""

import re
from typing import Any

from django import forms

from wallet.books.models import PRODUCT_LENGTH
from wallet.charges.budgets import CREDITS_MAX
from wallet.charges.models import Budget
from wallet.history import products
from wallet.pages.budgeted import ALL_PRODUCTS, PERIODS

# Credits as users write them: 40, 1,000.
WHOLE_CREDITS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+")


class BudgetForm(forms.Form):
    """For what, by day or month, and how many credits (0 to 1,000,000,000) may be spent at most."""

    product = forms.ChoiceField(
        required=False,
        label="For",
        error_messages={"invalid_choice": "Choose one of these products."},
    )
    period = forms.ChoiceField(
        label="Counted",
        choices=[(period, words.capitalize()) for period, words in PERIODS.items()],
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a period.", "invalid_choice": "Choose one of these periods."},
    )
    credits = forms.CharField(
        label="Limit, in credits",
        help_text="A whole number; 0 stops all charges.",
        widget=forms.TextInput(
            attrs={"class": "input", "inputmode": "numeric", "autocomplete": "off", "maxlength": 16}
        ),
        error_messages={"required": "Enter a number of credits; 0 stops all charges."},
    )

    def __init__(self, *args: Any, known_products: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        named = products.named(known_products)
        choice: Any = self.fields["product"]
        choice.choices = [("", ALL_PRODUCTS), *named]
        choice.widget.attrs["class"] = "input"

    def clean_credits(self) -> int:
        """The number of credits, within the limits of a budget."""
        text: str = self.cleaned_data["credits"]
        if not WHOLE_CREDITS.fullmatch(text):
            raise forms.ValidationError("Enter a whole number of credits, such as 40.")
        digits = text.replace(",", "").lstrip("0") or "0"
        # Check the length first: `int` raises an error for a number with thousands of digits.
        if len(digits) > len(str(CREDITS_MAX)) or int(digits) > CREDITS_MAX:
            raise forms.ValidationError(f"The maximum is {CREDITS_MAX:,}.")
        return int(digits)


class BudgetChoice(forms.Form):
    """Which of the user's budgets."""

    product = forms.CharField(required=False, strip=False, max_length=PRODUCT_LENGTH)
    period = forms.ChoiceField(choices=Budget.Period.choices)
