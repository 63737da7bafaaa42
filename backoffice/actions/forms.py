"""The forms of staff actions: a reason, a form key, and a check that a setting is still as it was shown."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from accounts.models import User
from backoffice.errors import BeyondAllowance, ChangedSince, NothingToChange
from foundation.errors import BillingError


class ReasonForm(forms.Form):
    """The reason of an act, and a form key: a form that is sent twice acts once.

    `row` is what the action changes, None if it adds a row. `staff` is the staff member who sends the form.
    """

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For your colleagues: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, row: Any, staff: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row, self.staff = row, staff
        self._unlimited: dict[str, str] = {}

    def show_limit(self, name: str, sentence: str) -> None:
        """Say beneath a field how much this staff member may do."""
        field = self.fields[name]
        self._unlimited[name] = str(field.help_text)
        field.help_text = f"{field.help_text} {sentence}"

    def refuse(self, refusal: BillingError) -> None:
        """Show why nothing was done. A limit that refuses is shown here only, not beneath its field too."""
        self.add_error(None, str(refusal))
        if isinstance(refusal, BeyondAllowance):
            for name, help_text in self._unlimited.items():
                self[name].help_text = help_text


class SettingForm(ReasonForm):
    """A form that shows the values of a row and changes them.

    It sends a digest of the values that it showed. If two staff members change a row at once, the second one
    is refused.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    setting: ClassVar[tuple[str, ...]] = ()
    field_order: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.row is not None:
            self.initial = {**self.shown(self.row), "seen": self.digest(self.row), **self.initial}

    @classmethod
    def shown(cls, row: Any) -> dict[str, Any]:
        """The values of a row that the form shows, by field."""
        return {name: getattr(row, name) for name in cls.setting}

    @classmethod
    def values(cls, form_data: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a submitted form, by field."""
        return {name: form_data[name] for name in cls.setting}

    @classmethod
    def digest(cls, row: Any) -> str:
        return hashlib.sha256(repr(sorted(cls.shown(row).items())).encode()).hexdigest()

    @classmethod
    def require_as_shown(cls, row: Any, form_data: Mapping[str, Any]) -> None:
        """Raise ChangedSince if the row, which the caller has locked, is not as the form showed it."""
        if form_data["seen"] and form_data["seen"] != cls.digest(row):
            raise ChangedSince


def summary_of_changes(subject: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What changed, in words by their label. Raises NothingToChange.

    >>> summary_of_changes("mail.send", {"price": "1 credit"}, {"price": "2 credits"})
    'mail.send: price from 1 credit to 2 credits.'
    """
    changed = [
        f"{label} from {old or 'nothing'} to {after[label] or 'nothing'}"
        for label, old in before.items()
        if after[label] != old
    ]
    if not changed:
        raise NothingToChange
    return f"{subject}: {'; '.join(changed)}."
