"""The forms of signing in, and of the account page."""

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.http import HttpRequest

from accounts.mail import outbox
from accounts.misar_ids import STAFF_PREFIX


class StaffSignInForm(LoginForm):
    """A member of staff's name, with or without its prefix, and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "Name"
        self.fields["password"].help_text = ""
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)

    def clean_login(self) -> str:
        return _full_name(super().clean_login())


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Whose password somebody tries, however the name is written: axes counts by it."""
    return _full_name(request.POST.get("login", "").strip()).casefold()


def _full_name(name: str) -> str:
    """A staff name with the prefix that all of them have."""
    return name if name.casefold().startswith(STAFF_PREFIX) else STAFF_PREFIX + name


class MailSwitches(forms.Form):
    """Which mails somebody wants: a box for each kind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in outbox.KINDS.items():
            self.fields[name] = forms.BooleanField(required=False, label=kind.label, help_text=kind.sentence)

    @property
    def switched_on(self) -> set[str]:
        """The kinds that are wanted."""
        return {name for name, wanted in self.cleaned_data.items() if wanted}
