"""The forms of the wallet's pages: an amount to buy, and the filters of the history."""

import re
from typing import Any

from django import forms

from foundation.forms import DayField, KeyedForm
from wallet.history import products
from wallet.history.spending import Choices
from wallet.history.statements import Choice
from wallet.pages import tables
from wallet.payments.checkout import DOLLARS_MAX, DOLLARS_MIN
from wallet.prices.units import Feature

SUGGESTED_DOLLARS = (10, 25, 50, 100)
USUAL_DOLLARS = 25
OTHER = "other"
AMOUNTS = [(str(dollars), f"${dollars}") for dollars in SUGGESTED_DOLLARS] + [(OTHER, "Other")]

# An amount as users write it: 40, $40, 40.00, 1,000.
WHOLE_DOLLARS = re.compile(r"\$? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.0{0,2})?")


def first_choice(missing: int) -> dict[str, str]:
    """The choice when the page opens: the usual amount, or one that brings the missing credits if possible.

    `missing` is how many credits must come in before the user can spend again; 0 for most users.

    >>> first_choice(0), first_choice(12), first_choice(300)
    ({'amount': '25'}, {'amount': '25'}, {'amount': 'other', 'own_amount': '300'})
    """
    enough = [dollars for dollars in SUGGESTED_DOLLARS if dollars >= missing]
    if enough:
        return {"amount": str(min(enough) if missing else USUAL_DOLLARS)}
    return {"amount": OTHER, "own_amount": str(min(missing, DOLLARS_MAX))}


class TopUpForm(KeyedForm):
    """How many whole dollars to pay: one of the suggested amounts, or another one.

    `own_amount` counts only with the choice "Other". `cleaned_data["dollars"]` is the result, within the
    limits of a top-up.
    """

    amount = forms.ChoiceField(
        label="Amount in US dollars",
        choices=AMOUNTS,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose an amount.", "invalid_choice": "Choose one of these amounts."},
    )
    own_amount = forms.CharField(
        required=False,
        label="Other amount",
        help_text=f"Whole dollars, from ${DOLLARS_MIN} to ${DOLLARS_MAX:,}.",
        widget=forms.TextInput(
            attrs={"class": "input", "inputmode": "numeric", "autocomplete": "off", "maxlength": 12}
        ),
    )

    @property
    def first_dollars(self) -> int | None:
        """The sum that is chosen when the page opens; None if the form was sent."""
        amount = self.initial.get("amount")
        if self.is_bound or not amount:
            return None
        return int(self.initial["own_amount"] if amount == OTHER else amount)

    def clean_own_amount(self) -> str:
        """The user's own amount in plain digits. If "Other" was not chosen, the text stays as it is."""
        text: str = self.cleaned_data["own_amount"]
        if self.cleaned_data.get("amount") != OTHER:
            return text
        written = WHOLE_DOLLARS.fullmatch(text)
        if not written:
            raise forms.ValidationError("Enter a whole number of dollars, such as 40.")
        digits = written[1].replace(",", "").lstrip("0") or "0"
        # Check the length first: `int` raises an error for a number with thousands of digits.
        if len(digits) > len(str(DOLLARS_MAX)) or int(digits) > DOLLARS_MAX:
            raise forms.ValidationError(f"The maximum is ${DOLLARS_MAX:,} at once.")
        if int(digits) < DOLLARS_MIN:
            raise forms.ValidationError(f"The minimum is ${DOLLARS_MIN}.")
        return digits

    def clean(self) -> None:
        """Add `dollars` to the cleaned data if all fields are valid."""
        super().clean()
        if not self.errors:
            own = self.cleaned_data["amount"] == OTHER
            self.cleaned_data["dollars"] = int(self.cleaned_data["own_amount" if own else "amount"])


class HistoryForm(forms.Form):
    """Which entries of the history to show. An invalid filter gets an error and is not applied."""

    def __init__(self, data: dict[str, str], *, choices: Choices, features: dict[str, Feature]) -> None:
        super().__init__(data, auto_id="history_%s")
        kinds = [(name, label) for name, (label, _) in tables.KIND_GROUPS.items()]
        makers = products.named(choices.products)
        labels = [(each, features.get(each, Feature(each)).label) for each in choices.features]
        self.fields |= {
            "kind": _choice_field("What", "Everything", kinds),
            "product": _choice_field("Product", "All products", makers),
            "feature": _choice_field("Feature", "All features", labels),
            "from": DayField("From"),
            "to": DayField("To"),
        }
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"

    def clean(self) -> None:
        """Refuse a last day that comes before the first day."""
        super().clean()
        first_day, last_day = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if first_day and last_day and last_day < first_day:
            self.add_error("to", "The last day comes before the first. This filter is not applied.")

    def choice(self) -> Choice:
        """Which entries to show. Only the filters with a valid value are applied."""
        self.is_valid()
        data: dict[str, Any] = self.cleaned_data
        return Choice(
            kinds=tables.KIND_GROUPS[data["kind"]][1] if data.get("kind") else (),
            product=data.get("product", ""),
            feature=data.get("feature", ""),
            first_day=data.get("from"),
            last_day=data.get("to"),
        )


def _choice_field(label: str, everything: str, known: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(
        required=False,
        label=label,
        choices=[("", everything), *known],
        error_messages={"invalid_choice": "Your history has no such entry. This filter is not applied."},
    )
