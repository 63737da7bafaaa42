"""A key's name, and what it may do."""

from typing import Any

from django import forms

from accounts import api_keys
from foundation.http.fields import PlainText
from monetization.dashboard.fields import KeyedForm, Ruled

# The scopes this service asks for, in the words of what they let somebody do.
SCOPES_HERE = {
    "monetization": "Record sponsors, subscriptions and tips, change them, and read them.",
    "read": "Read sponsors, subscriptions and tips. It records nothing.",
    "send:transactional": "Record tips, and nothing else here. In MisarMail it sends transactional mail.",
    "send": "Record tips, and nothing else here. In MisarMail it sends mail.",
}
SCOPES_ELSEWHERE = tuple(scope for scope in api_keys.SCOPES if scope not in SCOPES_HERE)


# --- Keys -------------------------------------------------------------------------------------------


class KeyForm(KeyedForm):
    """A key's name, and what it may do."""

    name = Ruled(
        PlainText(max_length=api_keys.NAME_LENGTH),
        help_text="So that you recognise it, such as: website, Stripe webhook.",
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

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["name"].widget.attrs.setdefault("class", "input")

    def boxes_here(self) -> list[dict[str, Any]]:
        """The scopes this service asks for, each with what it lets somebody do."""
        return [self._box(scope, sentence) for scope, sentence in SCOPES_HERE.items()]

    def boxes_elsewhere(self) -> list[dict[str, Any]]:
        """The scopes of other Misar products."""
        return [self._box(scope, "") for scope in SCOPES_ELSEWHERE]

    def opens_elsewhere(self) -> bool:
        """Whether one of those is chosen, so that it must be seen."""
        return any(box["is_chosen"] for box in self.boxes_elsewhere())

    def _box(self, scope: str, sentence: str) -> dict[str, Any]:
        chosen = self["scopes"].value() or []
        return {"scope": scope, "sentence": sentence, "is_chosen": scope in chosen}
