"""The base forms of staff actions.

Each form has a reason and a form key. A PreviewedForm shows what will change before it is done. A SettingForm
also checks that the row did not change after the form was shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms

from accounts.models import Act, User
from backoffice.errors import BeyondAllowance, ChangedSince, NothingToChange, OutdatedPreview
from foundation import money
from foundation.errors import BillingError
from foundation.validators import validate_id, validate_lines


class ReasonForm(forms.Form):
    """A form with a reason and a form key. A form that is sent twice takes effect once.

    `row` is the row that the action changes, or None if the action adds a row. `staff` is the staff member
    who sends the form. `is_seen` is false if the form first shows what it will change (PreviewedForm).
    """

    is_seen = True
    reason = forms.CharField(
        max_length=500,
        validators=[validate_lines],
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For your colleagues: what happened, and who asked for this.",
    )
    key = forms.CharField(max_length=64, validators=[validate_id], widget=forms.HiddenInput)

    def __init__(self, *args: Any, row: Any, staff: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row, self.staff = row, staff
        # The line above the reason why the form was refused.
        self.refused_words = "Nothing has changed."
        self._unlimited: dict[str, str] = {}

    def show_limit(self, name: str, sentence: str) -> None:
        """Add to the help text of a field a sentence that says how much this staff member may do."""
        field = self.fields[name]
        self._unlimited[name] = str(field.help_text)
        field.help_text = f"{field.help_text} {sentence}"

    def refuse(self, refusal: BillingError) -> None:
        """Show on the form why nothing was done.

        If a limit refused the action, the error names the limit. The help text then no longer names it.
        """
        self.add_error(None, str(refusal))
        if isinstance(refusal, BeyondAllowance):
            for name, help_text in self._unlimited.items():
                self[name].help_text = help_text


@dataclass(frozen=True)
class Effect:
    """A figure that an action changes: its name, and its values before and after the action.

    The values are in credits, or in the smallest unit of `currency`.
    """

    label: str
    before: int
    after: int
    currency: str = ""

    @property
    def before_in_words(self) -> str:
        """The value before the action: "28", or "10.00 USD"."""
        return money.amount(self.before, self.currency) if self.currency else money.plain(self.before)

    @property
    def after_in_words(self) -> str:
        """The value after the action: "31 credits", or "7.50 USD"."""
        return money.amount(self.after, self.currency) if self.currency else money.credits(self.after)


@dataclass(frozen=True)
class Change:
    """A setting that an action changes: its name, and its values in words. `before` is None for a new row."""

    label: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Preview:
    """What an action would change, and the Misar ID of the user that its act would be about.

    `effects` are figures, and `changes` are settings. `basis` is a figure that the action checks when it is
    done, such as how much was left before. None means that there is none. `note` says from when on it holds.
    """

    effects: Sequence[Effect]
    about: str
    basis: int | None = None
    changes: Sequence[Change] = ()
    note: str = ""


class PreviewedForm(ReasonForm):
    """A form that is sent twice: the first time it shows what will change, the second time this is done.

    `seen` says for which values the effects were shown, and which act about the user was the newest then. If
    it is missing, or if a value was changed after that, or if staff acted on the user, the form shows the
    effects again. Products may move credits meanwhile: the action then does the same to another balance, and
    its summary says so. `basis` is that of the preview. An action that depends on it raises OutdatedPreview.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    basis = forms.IntegerField(required=False, widget=forms.HiddenInput)
    # What the effects don't depend on.
    unseen: ClassVar[tuple[str, ...]] = ("reason", "key", "seen")
    # After these refusals, the same form is sent again as it was. After others, it shows the effects again.
    sent_again: ClassVar[tuple[type[BillingError], ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preview: Preview | None = None
        self.is_seen = False

    def clean(self) -> dict[str, Any]:
        form_data = super().clean() or self.cleaned_data
        self.is_seen = form_data.get("seen", "").partition(":")[2] == self._digest(form_data)
        return form_data

    def show(self, preview: Preview, newest_act: Act | None) -> None:
        """Show the effects. The form does the action when it is sent again with the same values."""
        self.preview, self.is_seen = preview, True
        if self.errors:  # The preview that the form had shown before was outdated.
            self.refused_words = "Nothing has changed yet. Below is what would change now."
        newest = newest_act.pk if newest_act else 0
        self.cleaned_data["basis"] = preview.basis
        self.change_data(basis="" if preview.basis is None else str(preview.basis))
        self.change_data(seen=f"{newest}:{self._digest(self.cleaned_data)}")

    def require_no_act_since(self, newest: Act | None) -> None:
        """Raise OutdatedPreview if this act about the user was saved after the effects were shown.

        The caller must have locked the user's wallet, and read the newest act after that.
        """
        if newest and self.cleaned_data["seen"].partition(":")[0] != str(newest.pk):
            who = "You have" if newest.staff_id == self.staff.pk else "A colleague has"
            raise OutdatedPreview(f"{who} acted on this user since you saw what would change: {newest.told}")

    def refuse(self, refusal: BillingError) -> None:
        super().refuse(refusal)
        if not isinstance(refusal, self.sent_again):
            self.is_seen = False
            self.change_data(seen="")

    def change_data(self, **values: str) -> None:
        """Show the form as it was sent, with these values changed."""
        data: Any = copy(self.data)  # It keeps all values of a field that has several.
        for name, value in values.items():
            data[name] = value
        self.data = data

    def _digest(self, form_data: Mapping[str, Any]) -> str:
        values = {name: form_data.get(name) for name in self.fields if name not in self.unseen}
        return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()


class SettingForm(PreviewedForm):
    """A form that shows the values of a row and changes them.

    `opened` is a digest of the values that the form showed when it was opened. The form is refused if another
    staff member changed the row after that.
    """

    opened = forms.CharField(required=False, widget=forms.HiddenInput)
    setting: ClassVar[tuple[str, ...]] = ()
    field_order: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.row is not None:
            self.initial = {**self.shown(self.row), "opened": self.digest(self.row), **self.initial}

    @classmethod
    def shown(cls, row: Any) -> dict[str, Any]:
        """Return the values of a row that the form shows, by field name."""
        return {name: getattr(row, name) for name in cls.setting}

    @classmethod
    def values(cls, form_data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a submitted form, by field name."""
        return {name: form_data[name] for name in cls.setting}

    @classmethod
    def digest(cls, row: Any) -> str:
        return hashlib.sha256(repr(sorted(cls.shown(row).items())).encode()).hexdigest()

    @classmethod
    def require_as_shown(cls, row: Any, form_data: Mapping[str, Any]) -> None:
        """Raise ChangedSince if the row changed after the form was shown.

        The caller must have locked the row.
        """
        if form_data["opened"] and form_data["opened"] != cls.digest(row):
            raise ChangedSince


def summary_of_changes(subject: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return a sentence that names each changed value by its label. Raise NothingToChange if there is none.

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
