"""The base of the forms with which staff move credits."""

from typing import Any, cast

from django import forms
from django.conf import settings

from backoffice.actions.forms import PreviewedForm
from backoffice.credits import limits


class CreditsForm(PreviewedForm):
    """How many credits, and why. The form shows how many credits the staff member may still move."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "credits" in self.fields and (allowance := limits.of(self.staff)):
            self.show_limit("credits", allowance.in_words)

    def clean_credits(self) -> int | None:
        credits = cast(int | None, self.cleaned_data["credits"])
        if credits == 0:
            raise forms.ValidationError("Enter a number other than 0.")
        if abs(credits or 0) > settings.ADJUSTMENT_CREDITS_MAX:
            raise forms.ValidationError(f"At most {settings.ADJUSTMENT_CREDITS_MAX:,} credits at once.")
        return credits
