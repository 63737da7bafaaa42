"""The forms of staff actions: a reason, a one-time key, and what was shown."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from accounts.models import User
from backoffice.errors import BeyondAllowance, ChangedSince, NothingToChange
from foundation.errors import BillingError

# What the page of a verb says of its row, in words by their label; what is empty is left out.
Facts = list[tuple[str, str]]

# --- Forms ----------------------------------------------------------------------------------------------


class ReasonForm(forms.Form):
    """Why; and a key that makes sending the same form twice the same as once.

    `row` is what it is about, None where the verb makes it; `staff` is who asks.
    """

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever asks later: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, row: Any, staff: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row, self.staff = row, staff
        self._unlimited: dict[str, str] = {}

    def tell_limit(self, name: str, words: str) -> None:
        """Say beneath a field how much this member of staff may do."""
        field = self.fields[name]
        self._unlimited[name] = str(field.help_text)
        field.help_text = f"{field.help_text} {words}"

    def refuse(self, refusal: BillingError) -> None:
        """Say what refused. A limit that did is said there, as it is now, and not beneath its field too."""
        self.add_error(None, str(refusal))
        if isinstance(refusal, BeyondAllowance):
            for name, help_text in self._unlimited.items():
                self[name].help_text = help_text


class SettingForm(ReasonForm):
    """How something is set, to be set otherwise.

    What was shown is sent along, as a digest: of two who change the same at once, the second is told.
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
    def digest(cls, row: Any) -> str:
        return hashlib.sha256(repr(sorted(cls.shown(row).items())).encode()).hexdigest()

    @classmethod
    def require_as_shown(cls, row: Any, asked: Mapping[str, Any]) -> None:
        """Raise ChangedSince where the row, locked by now, is no longer what the form showed."""
        if asked["seen"] and asked["seen"] != cls.digest(row):
            raise ChangedSince


def told_from_to(subject: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What changed of something, in words by their label. Raises NothingToChange.

    >>> told_from_to("mail.send", {"price": "1 credit"}, {"price": "2 credits"})
    'mail.send: price from 1 credit to 2 credits.'
    """
    changed = [
        f"{label} from {was or 'nothing'} to {after[label] or 'nothing'}"
        for label, was in before.items()
        if after[label] != was
    ]
    if not changed:
        raise NothingToChange
    return f"{subject}: {'; '.join(changed)}."
