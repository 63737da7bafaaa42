"""The forms of the sign-in pages and of the account page."""

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.http import HttpRequest

from accounts.mail import outbox
from accounts.misar_ids import STAFF_PREFIX


class StaffSignInForm(LoginForm):
    """The sign-in form of staff: the name, with or without the prefix `staff:`, and the password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "Name"
        self.fields["password"].help_text = ""
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)

    def clean_login(self) -> str:
        return _full_name(super().clean_login())


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return the full staff name that was entered, in lower case. Axes counts failed tries by this name."""
    return _full_name(request.POST.get("login", "").strip()).casefold()


def _full_name(name: str) -> str:
    """Return the name with the prefix `staff:`. The prefix is added if it is missing."""
    return name if name.casefold().startswith(STAFF_PREFIX) else STAFF_PREFIX + name


class MailSwitches(forms.Form):
    """Which mails a user gets, with a checkbox for each kind of mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in outbox.KINDS.items():
            self.fields[name] = forms.BooleanField(required=False, label=kind.label, help_text=kind.sentence)

    @property
    def switched_on(self) -> set[str]:
        """The kinds that are switched on."""
        return {name for name, is_on in self.cleaned_data.items() if is_on}
