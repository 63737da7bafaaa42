"""The forms of the sandbox's pages."""

from typing import Any

from django import forms

from foundation.text import is_id, is_text
from sandbox import behaviour, disputes
from sandbox.grants import STAFF_PREFIX, USER_ID_LENGTH_MAX, Person
from sandbox.refunds import FIRST_STATUSES

CARD_NUMBER = "4242 4242 4242 4242"
DECLINED_CARD_NUMBER = "4000 0000 0000 0002"


class CardForm(forms.Form):
    """A test card. It is checked and not stored."""

    card_number = forms.CharField(
        max_length=30, initial=CARD_NUMBER, error_messages={"required": "Type a card number."}
    )

    def clean_card_number(self) -> str:
        digits = str(self.cleaned_data["card_number"]).replace(" ", "").replace("-", "")
        if not (digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19):
            raise forms.ValidationError("A card number has 13 to 19 digits. Try " + CARD_NUMBER + ".")
        return digits

    @property
    def is_declined(self) -> bool:
        return bool(self.cleaned_data["card_number"] == DECLINED_CARD_NUMBER.replace(" ", ""))


class PersonForm(forms.Form):
    """A person who signs in without being on the list."""

    user_id = forms.CharField(
        max_length=USER_ID_LENGTH_MAX,
        strip=False,
        error_messages={
            "required": "Type a Misar ID.",
            "max_length": f"A Misar ID has at most {USER_ID_LENGTH_MAX} characters.",
        },
    )
    name = forms.CharField(
        required=False,
        max_length=150,
        error_messages={"max_length": "A name has at most 150 characters here."},
    )
    email = forms.EmailField(
        required=False,
        error_messages={"invalid": "Type an address such as dana@example.com, or leave it empty."},
    )

    def clean_user_id(self) -> str:
        user_id = str(self.cleaned_data["user_id"])
        if not is_id(user_id):
            raise forms.ValidationError("A Misar ID has printable characters only.")
        if user_id.startswith(STAFF_PREFIX):
            raise forms.ValidationError(
                f"{STAFF_PREFIX} is for accounts of the back-office, not for a Misar ID."
            )
        return user_id

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name and not is_text(name):
            raise forms.ValidationError("A name has printable characters only.")
        return name

    @property
    def person(self) -> Person:
        """The person, once the form is valid."""
        return Person(**self.cleaned_data)


class AmountForm(forms.Form):
    """An amount in dollars; empty means all."""

    amount = forms.DecimalField(
        required=False,
        min_value=0.01,
        max_digits=9,
        decimal_places=2,
        error_messages={"invalid": "Type an amount such as 5.00."},
    )

    @property
    def cents(self) -> int | None:
        amount = self.cleaned_data["amount"]
        return None if amount is None else int(amount * 100)


class RefundForm(AmountForm):
    """A refund: how much, and how it begins. Without a status, the settings decide."""

    status = forms.ChoiceField(choices=[(each, each) for each in FIRST_STATUSES], required=False)


class DisputeForm(AmountForm):
    """A dispute: how much, and what the bank does first."""

    kind = forms.ChoiceField(choices=[(each, each) for each in disputes.KINDS])


class BehaviourForm(forms.Form):
    """How the sandbox misbehaves."""

    FAILURES = (
        ("", "works"),
        ("401", "fails: 401, wrong key"),
        ("429", "fails: 429, too many calls"),
        ("500", "fails: 500, their trouble"),
        ("503", "fails: 503, out of service"),
    )

    drop_webhooks = forms.BooleanField(required=False)
    drop_share = forms.FloatField(min_value=0, max_value=1)
    double_webhooks = forms.BooleanField(required=False)
    webhook_delay_seconds = forms.FloatField(min_value=0, max_value=behaviour.SECONDS_MAX)
    shuffle_seconds = forms.FloatField(min_value=0, max_value=behaviour.SECONDS_MAX)
    api_delay_seconds = forms.FloatField(min_value=0, max_value=behaviour.SECONDS_MAX)
    api_failure = forms.TypedChoiceField(choices=FAILURES, required=False, coerce=int, empty_value=None)
    refunds_pending = forms.BooleanField(required=False)

    def __init__(self, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        status = (initial or {}).get("api_failure")
        # A test may have set a value that the form does not offer.
        if status and str(status) not in dict(self.FAILURES):
            self.fields["api_failure"].choices = [*self.FAILURES, (str(status), f"fails: {status}")]  # type: ignore[attr-defined]


class ResendForm(forms.Form):
    """How often to send an event again."""

    times = forms.IntegerField(min_value=1, max_value=20)
    at_once = forms.BooleanField(required=False)
