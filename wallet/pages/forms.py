"""What a user types on the wallet's pages: an amount to buy, and which part of the history to see."""

import re
from typing import Any

from django import forms

from foundation.forms import DayField, KeyedForm
from wallet.history import products
from wallet.history.spending import Choices
from wallet.history.statements import Choice
from wallet.pages import tables
from wallet.payments.checkout import DOLLARS_MAX, DOLLARS_MIN

SUGGESTED_DOLLARS = (10, 25, 50, 100)
USUAL_DOLLARS = 25
OTHER = "other"
AMOUNTS = [(str(dollars), f"${dollars}") for dollars in SUGGESTED_DOLLARS] + [(OTHER, "Other")]

# What people write for forty dollars: 40, $40, 40.00, 1,000.
WHOLE_DOLLARS = re.compile(r"\$? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.0{0,2})?")


def first_choice(owed: int) -> dict[str, str]:
    """What the form has chosen before anybody chooses: the usual amount, or enough to settle a debt.

    `owed` is in credits, 0 for a balance that owes nothing.

    >>> first_choice(0), first_choice(12), first_choice(300)
    ({'amount': '25'}, {'amount': '25'}, {'amount': 'other', 'own_amount': '300'})
    """
    if not owed:
        return {"amount": str(USUAL_DOLLARS)}
    enough = [dollars for dollars in SUGGESTED_DOLLARS if dollars >= owed]
    if enough:
        return {"amount": str(min(enough))}
    return {"amount": OTHER, "own_amount": str(min(owed, DOLLARS_MAX))}


class TopUpForm(KeyedForm):
    """How many whole dollars to pay: one of the suggested amounts, or another where that is chosen.

    What stands in `own_amount` counts only with the choice "Other". `cleaned_data["dollars"]` is the
    result, within the bounds of a top-up.
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

    def clean(self) -> dict[str, Any]:
        """Read the amount that is meant into `dollars`."""
        data = super().clean() or self.cleaned_data
        chosen = data.get("amount")
        if chosen == OTHER:
            self._read_own_amount(data)
        elif chosen:
            data["dollars"] = int(chosen)
        return data

    def _read_own_amount(self, data: dict[str, Any]) -> None:
        read = WHOLE_DOLLARS.fullmatch(data.get("own_amount", ""))
        digits = read[1].replace(",", "").lstrip("0") if read else ""
        if not read:
            self.add_error("own_amount", "Write a whole number of dollars, such as 40.")
        elif len(digits) > len(str(DOLLARS_MAX)) or int(digits or 0) > DOLLARS_MAX:
            self.add_error("own_amount", f"The most is ${DOLLARS_MAX:,} at once.")
        elif int(digits or 0) < DOLLARS_MIN:
            self.add_error("own_amount", f"The least is ${DOLLARS_MIN}.")
        else:
            data["dollars"] = int(digits)


class HistoryForm(forms.Form):
    """Which entries of the history to see. A value that cannot be read is told and left out."""

    kind = forms.ChoiceField(required=False, label="What")
    product = forms.ChoiceField(required=False, label="Product")
    feature = forms.ChoiceField(required=False, label="Feature")

    def __init__(self, data: dict[str, str], *, choices: Choices, labels: dict[str, str]) -> None:
        super().__init__(data, auto_id="history_%s")
        everything = [("", "Everything")] + [(name, label) for name, (label, _) in tables.KIND_GROUPS.items()]
        makers = [("", "All products")] + [(each, products.name_of(each)) for each in choices.products]
        features = [("", "All features")] + [(each, labels.get(each, each)) for each in choices.features]
        for name, known in (("kind", everything), ("product", makers), ("feature", features)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = known
            field.error_messages["invalid_choice"] = (
                "Your history has no such entry. This filter is not applied."
            )
        for name, label in (("from", "From"), ("to", "To")):
            self.fields[name] = DayField(label)
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"

    def clean(self) -> dict[str, Any]:
        """Leave the last day out where it comes before the first."""
        data = super().clean() or self.cleaned_data
        first_day, last_day = data.get("from"), data.get("to")
        if first_day and last_day and last_day < first_day:
            self.add_error("to", "The last day comes before the first. This filter is not applied.")
        return data

    def choice(self) -> Choice:
        """The entries that are asked for, by what could be read."""
        self.is_valid()
        data = self.cleaned_data
        return Choice(
            kinds=tables.KIND_GROUPS[data["kind"]][1] if data.get("kind") else (),
            product=data.get("product", ""),
            feature=data.get("feature", ""),
            first_day=data.get("from"),
            last_day=data.get("to"),
        )
