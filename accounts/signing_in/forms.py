"""The forms of the sign-in pages and of the account page."""

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.http import HttpRequest

from accounts import buyers
from accounts.buyers import Buyer
from accounts.mail import outbox
from accounts.misar_ids import STAFF_PREFIX
from accounts.models import User
from foundation.validators import validate_line, validate_lines


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


HOW_OFTEN = "Choose how often you want this email."
# While workers are replaced, a page of one release is sent to another. The release before has a checkbox: it
# sends "on", and reads "false" as off.
EACH, WEEK, NONE = "on", "week", "false"


class MailSwitches(forms.Form):
    """Which mails a user gets: a checkbox for each kind, or how often if there is a weekly mail."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in outbox.KINDS.items():
            wanted = outbox.wants(user, name)
            texts: dict[str, Any] = {"label": kind.label, "help_text": kind.sentence}
            if kind.begin_weekly is None:
                self.fields[name] = forms.BooleanField(required=False, initial=wanted, **texts)
                continue
            self.fields[name] = forms.ChoiceField(
                choices={EACH: "Each time", WEEK: "Once a week, on Monday", NONE: "None"},
                initial=(WEEK if outbox.is_weekly(user, name) else EACH) if wanted else NONE,
                widget=forms.RadioSelect,
                error_messages={"required": HOW_OFTEN, "invalid_choice": HOW_OFTEN},
                **texts,
            )

    @property
    def switched_on(self) -> set[str]:
        """The kinds that are switched on, also those that come once a week."""
        return {name for name, choice in self.cleaned_data.items() if choice not in (False, NONE)}

    @property
    def weekly(self) -> set[str]:
        """The kinds that come once a week."""
        return {name for name, choice in self.cleaned_data.items() if choice == WEEK}


TOO_LONG = {"max_length": "Use at most %(limit_value)d characters; this has %(show_value)d."}


class BuyerForm(forms.Form):
    """Who buys, for receipts. Each field may be empty. A VAT number is kept as the user writes it."""

    name = forms.CharField(
        required=False,
        label="Name or company",
        max_length=buyers.NAME_LENGTH,
        error_messages=TOO_LONG,
        validators=[validate_line],
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "organization"}),
    )
    address = forms.CharField(
        required=False,
        label="Address",
        max_length=buyers.ADDRESS_LENGTH,
        error_messages=TOO_LONG,
        validators=[validate_lines],
        help_text="Street, postal code and city.",
        widget=forms.Textarea(attrs={"class": "input", "rows": 3, "autocomplete": "street-address"}),
    )
    country = forms.CharField(
        required=False,
        label="Country",
        max_length=buyers.COUNTRY_LENGTH,
        error_messages=TOO_LONG,
        validators=[validate_line],
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "country-name"}),
    )
    vat_number = forms.CharField(
        required=False,
        label="VAT number",
        max_length=buyers.VAT_NUMBER_LENGTH,
        error_messages=TOO_LONG,
        validators=[validate_line],
        help_text="With its country letters, such as DE123456789. Optional.",
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off", "spellcheck": "false"}),
    )

    @property
    def buyer(self) -> Buyer:
        """The buyer that was entered, with one line break between two lines."""
        lines = self.cleaned_data["address"].splitlines()
        return Buyer(**self.cleaned_data | {"address": "\n".join(line.strip() for line in lines)})
