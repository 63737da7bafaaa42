"""The staff's sign-in form."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from accounts.throttling import hit

TRIES_PER_MINUTE = 5


class SlowedLoginForm(AdminAuthenticationForm):
    """Five tries a minute for one name, right or wrong: a password cannot be guessed at speed."""

    def clean(self) -> dict[str, Any]:
        count = hit("admin.login", str(self.cleaned_data.get("username", "")).lower(), limit=TRIES_PER_MINUTE)
        if not count.allowed:
            # Before the password is looked at, which is what costs time.
            raise ValidationError(f"Too many tries. Please wait {count.wait_seconds} seconds.")
        return dict(super().clean() or {})
