"""The form for a new API key."""

from django import forms

from accounts import api_keys
from foundation.forms import KeyedForm
from foundation.http.fields import PlainText
from monetization.dashboard.fields import Ruled

# The scopes that this service's endpoints require, each with a text about what the scope allows.
SCOPES_HERE = {
    "monetization": "Record sponsors, subscriptions and tips, change them, and read them.",
    "read": "Read sponsors, subscriptions and tips. It records nothing.",
    "send:transactional": "Record tips, and nothing else here. In MisarMail it sends transactional mail.",
    "send": "Record tips, and nothing else here. In MisarMail it sends mail.",
}
SCOPES_ELSEWHERE = tuple(scope for scope in api_keys.SCOPES if scope not in SCOPES_HERE)


class KeyForm(KeyedForm):
    """A form with the name of an API key and its scopes."""

    name = Ruled(
        PlainText(max_length=api_keys.NAME_LENGTH),
        help_text="A name you will recognise, such as website or Stripe webhook.",
        error_messages={"required": "Write a name."},
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in api_keys.SCOPES],
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one thing that the key may do.",
            "invalid_choice": "Choose from these only.",
        },
    )

    def chosen(self) -> list[str]:
        """Return the scopes that are checked."""
        return self["scopes"].value() or []

    def opens_elsewhere(self) -> bool:
        """Return whether a scope for other products is checked. If so, the page shows all these scopes."""
        return not set(SCOPES_ELSEWHERE).isdisjoint(self.chosen())
