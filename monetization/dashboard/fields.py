"""The fields of the dashboard's forms: text, days and amounts.

A text field uses the rules of the API's own field, so a page accepts exactly what the API accepts.
"""

import re
from typing import Any

from django import forms
from rest_framework import serializers as drf

from foundation import money
from foundation.forms import DayInput

# Matches 1,234.50 and 1234.5. It does not match a number with more digits than an amount may have.
AMOUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,12})(?:\.([0-9]{0,3}))?", re.ASCII)


class Ruled(forms.CharField):
    """A text field that validates with `rule`, a field of the API. Each error is a sentence.

    `error_messages` may contain a better sentence for an error code of the rule.
    """

    def __init__(self, rule: drf.Field, **options: Any) -> None:
        self.rule = rule
        attrs = {"class": "input", "maxlength": getattr(rule, "max_length", None), "autocomplete": "off"}
        super().__init__(**{"widget": forms.TextInput(attrs=attrs)} | options)

    def clean(self, value: Any) -> Any:
        """Return the value that `rule` makes of the text. An empty text of an optional field stays empty."""
        text = super().clean(value)
        if text in self.empty_values:
            return text
        try:
            return self.rule.run_validation(text)
        except drf.ValidationError as error:
            details: Any = error.detail
            sentences = [self.error_messages.get(each.code, f"This {each}.") for each in details]
            raise forms.ValidationError(sentences) from None


def day_field(label: str, missing: str, help_text: str = "") -> forms.DateField:
    """Return a field for a day in UTC. `missing` is the error if it is empty."""
    return forms.DateField(
        label=label,
        help_text=help_text,
        input_formats=["%Y-%m-%d"],
        widget=DayInput(format="%Y-%m-%d", attrs={"class": "input input-short"}),
        error_messages={"required": missing, "invalid": "Enter a date such as 2026-10-31."},
    )


def cents_of(text: str, currency: str, *, most: int | None = None, any_step: int | None = None) -> int:
    """Read an amount that a person wrote. Return it in the currency's smallest unit.

    In USD, `1,234.50` is 123450. Raises ValidationError, with a sentence, if the text is not an amount in
    this currency or if it is more than `most`. An amount must be a multiple of the currency's step. Only
    the amount `any_step` (in the smallest unit) need not be a multiple.
    """
    exponent = money.EXPONENTS[currency]
    read = AMOUNT.fullmatch(text.strip())
    if read is None:
        example = "1200" if exponent == 0 else "12.50"
        raise forms.ValidationError(f"Write an amount such as {example}.")
    decimals = (read[2] or "").rstrip("0")
    if len(decimals) > exponent:
        count = f"at most {exponent} decimals" if exponent else "no decimals"
        raise forms.ValidationError(f"An amount in {currency} has {count}.")
    cents = int(read[1].replace(",", "") + decimals.ljust(exponent, "0"))
    step = money.step_of(currency)
    if cents != any_step and cents % step:
        raise forms.ValidationError(
            f"An amount in {currency} is a multiple of {money.amount(step, currency)}."
        )
    if most is not None and cents > most:
        raise forms.ValidationError(f"The most is {money.amount(most, currency)}.")
    return cents


def amount_field(label: str, help_text: str = "", *, required: bool = True) -> forms.CharField:
    return forms.CharField(
        required=required,
        label=label,
        help_text=help_text,
        max_length=20,
        widget=forms.TextInput(
            attrs={"class": "input input-short", "inputmode": "decimal", "autocomplete": "off"}
        ),
        error_messages={"required": "Write an amount."},
    )
