"""The fields that the forms of several pages share: a day, and a one-time key."""

import re
import secrets
from copy import copy
from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
OUT_OF_RANGE = "Enter a date between 2000 and 2999. This filter is not applied."
# The pattern has anchors. Without them, a RegexField would also accept a key inside a longer text.
KEY = re.compile(r"\A[0-9a-f]{32}\Z")
INCOMPLETE = "This page was incomplete, so nothing was recorded. Please send it again."


class DayInput(forms.DateInput):
    """A browser's date field. Text that is not a valid day is left out, because browsers warn about it."""

    input_type = "date"

    def format_value(self, value: Any) -> str | None:
        text = super().format_value(value)
        try:
            return text and date.fromisoformat(text).isoformat()
        except ValueError:
            return None


class DayField(forms.DateField):
    """The day of a filter, from 2000 to 2999. These days are safe for comparisons and date arithmetic."""

    def __init__(self, label: str) -> None:
        bounds = {"min": FIRST_DAY.isoformat(), "max": LAST_DAY.isoformat()}
        super().__init__(
            required=False,
            label=label,
            input_formats=["%Y-%m-%d"],
            widget=DayInput(format="%Y-%m-%d", attrs=bounds),
            error_messages={"invalid": "Enter a date such as 2026-10-31. This filter is not applied."},
            validators=[
                MinValueValidator(FIRST_DAY, OUT_OF_RANGE),
                MaxValueValidator(LAST_DAY, OUT_OF_RANGE),
            ],
        )


def new_key() -> str:
    """Return a new one-time key for a form. A form that is submitted twice takes effect once."""
    return secrets.token_hex(16)


class KeyedForm(forms.Form):
    """A form with a one-time key. A form that is submitted twice takes effect once."""

    key = forms.RegexField(
        KEY, widget=forms.HiddenInput, error_messages={"required": INCOMPLETE, "invalid": INCOMPLETE}
    )

    def renew_key(self) -> None:
        """Give the form a new key, before the form is shown again."""
        data: Any = copy(self.data)  # The copy has all values of a field, even if there are several.
        data["key"] = new_key()
        self.data = data
