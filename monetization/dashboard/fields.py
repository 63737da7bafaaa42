"""What the dashboard's forms are made of: text, moments, days and amounts, read and told in words.

Text is held to the rules of the API's own fields, so that a page takes exactly what the API takes.
"""

import re
import secrets
from datetime import date, datetime
from typing import Any

from django import forms
from rest_framework import serializers as drf

from foundation import money
from foundation.http.fields import Moment

# 1,234.50 or 1234.5; more digits than any amount here may have are not read at all.
AMOUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,12})(?:\.([0-9]{0,3}))?", re.ASCII)
# A field of a form searches: anchored, so that nothing stands before or after it.
KEY = re.compile(r"\A[0-9a-f]{32}\Z")
FIRST_DAY_MIN = date(2000, 1, 1)
LAST_DAY_MAX = date(2999, 12, 31)
INCOMPLETE = "This page was incomplete, so nothing was recorded. Please send it again."


def new_key() -> str:
    """The key of one form on one page: sent twice, it does its work once."""
    return secrets.token_hex(16)


class Ruled(forms.CharField):
    """Text under the rule of a field of the API; what is wrong is told as a sentence."""

    def __init__(self, rule: drf.Field, **options: Any) -> None:
        self.rule = rule
        longest = getattr(rule, "max_length", None)
        if longest:
            options.setdefault("widget", forms.TextInput(attrs={"maxlength": longest, "autocomplete": "off"}))
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        """What the rule makes of the text; an empty one stays empty where it may."""
        text = super().clean(value)
        if text in self.empty_values:
            return text
        try:
            return self.rule.run_validation(text)
        except drf.ValidationError as error:
            raise forms.ValidationError([f"This {each}." for each in error.detail]) from None


class MomentInput(forms.DateTimeInput):
    """A moment in UTC, to the minute; with seconds where it has some."""

    input_type = "datetime-local"

    def format_value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%dT%H:%M:%S}" if value.second else f"{value:%Y-%m-%dT%H:%M}"
        return value


def moment_field(label: str, help_text: str) -> Ruled:
    return Ruled(
        Moment(),
        label=label,
        help_text=help_text,
        # Any second is a right one: a placement recorded by the API may end at 23:59:59.
        widget=MomentInput(attrs={"class": "input input-short", "step": "any"}),
        error_messages={"required": "Choose a day and a time."},
    )


class DayField(forms.DateField):
    """A day that can be compared and counted from without leaving the calendar."""

    def __init__(self, label: str) -> None:
        bounds = {"min": FIRST_DAY_MIN.isoformat(), "max": LAST_DAY_MAX.isoformat()}
        super().__init__(
            required=False,
            label=label,
            input_formats=["%Y-%m-%d"],
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"} | bounds),
            error_messages={"invalid": "Write a day as 2026-10-31; this is left out."},
        )

    def validate(self, value: date | None) -> None:
        super().validate(value)
        if value and not FIRST_DAY_MIN <= value <= LAST_DAY_MAX:
            raise forms.ValidationError("This day is out of the calendar's reach; it is left out.")


def cents_of(text: str, currency: str, *, whatever_step: int | None = None) -> int:
    """An amount as people write it, in the smallest unit of its currency.

    `1,234.50` is 123450 in USD. Raises ValidationError, in words, for what is no amount of that currency.
    `whatever_step` is an amount in the smallest unit that is right whatever the currency's step.
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
    if cents != whatever_step and cents % money.step_of(currency):
        raise forms.ValidationError(
            f"An amount in {currency} is a multiple of {money.amount(money.step_of(currency), currency)}."
        )
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


def key_field() -> forms.RegexField:
    return forms.RegexField(
        KEY, widget=forms.HiddenInput, error_messages={"required": INCOMPLETE, "invalid": INCOMPLETE}
    )


class KeyedForm(forms.Form):
    """A form with a one-time key: sent twice, it does its work once."""

    key = key_field()

    def renew_key(self) -> None:
        """Give the form, to be shown again, a key that was never used."""
        self.data = dict(self.data.items()) | {"key": new_key()}
