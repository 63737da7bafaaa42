"""What a creator says of a placement."""

from typing import Any

from django import forms

from foundation import money
from foundation.http.fields import PlainText
from monetization import sponsors
from monetization.dashboard.fields import KeyedForm, Ruled, amount_field, cents_of, moment_field
from monetization.dashboard.sponsors import facts
from monetization.fields import Currency, WebAddress
from monetization.models import NAME_LENGTH, PRICE_CENTS_MAX, Sponsor

# --- Sponsors ---------------------------------------------------------------------------------------


class SponsorForm(KeyedForm):
    """A placement: who, where, from when until when, and for how much.

    `editable` names what can still be changed of a placement that is there, whose form has what was seen of
    it; None is for a new one, which has a key. `changes()` is what the verbs take.
    """

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    sponsor_name = Ruled(
        PlainText(max_length=NAME_LENGTH),
        label="Sponsor",
        error_messages={"required": "Write the sponsor's name."},
    )
    position = forms.ChoiceField(
        choices=Sponsor.Position.choices,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a position.", "invalid_choice": "Choose one of these positions."},
    )
    active_from = moment_field("From, UTC", "The first moment it is shown.")
    active_until = moment_field(
        "Until, UTC", "The moment it ends; no longer shown then. A midnight ends the day before."
    )
    target_url = Ruled(
        WebAddress("http", "https"),
        label="Target address",
        help_text="Where a click leads, such as https://acme.example.com.",
        error_messages={"required": "Write the address that a click leads to."},
    )
    logo_url = Ruled(
        WebAddress("https"),
        label="Logo address",
        help_text="An https address. Readers' browsers load it; this service never does.",
        error_messages={"required": "Write the address of the logo."},
    )
    price = amount_field("Price", "For your records; empty if there is none.", required=False)
    currency = Ruled(
        Currency(),
        label="Currency",
        help_text="Three letters, such as USD.",
        widget=forms.TextInput(
            attrs={"class": "input input-short", "maxlength": 3, "autocomplete": "off", "spellcheck": "false"}
        ),
        error_messages={"required": "Write a currency, such as USD."},
    )

    def __init__(self, *args: Any, editable: frozenset[str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if editable is None:
            del self.fields["seen"]
        else:
            kept = editable | {"seen"} | ({"price"} if "price_cents" in editable else set())
            for name in set(self.fields) - kept:
                del self.fields[name]
        for field in self.fields.values():
            if not isinstance(field.widget, forms.RadioSelect):
                field.widget.attrs.setdefault("class", "input")

    def clean(self) -> dict[str, Any]:
        """Read the price in its currency, and refuse an end before the beginning."""
        data = super().clean() or self.cleaned_data
        begins, ends = data.get("active_from"), data.get("active_until")
        if begins and ends and ends <= begins:
            self.add_error("active_until", "It must end after it begins.")
        if data.get("price") and data.get("currency"):
            try:
                data["price_cents"] = cents_of(data["price"], data["currency"])
            except forms.ValidationError as error:
                self.add_error("price", error)
            else:
                if data["price_cents"] > PRICE_CENTS_MAX:
                    most = money.amount(PRICE_CENTS_MAX, data["currency"])
                    self.add_error("price", f"The most is {most}.")
        return data

    def changes(self) -> dict[str, Any]:
        """What was entered, under the names of the verbs."""
        data = {name: value for name, value in self.cleaned_data.items() if name in sponsors.FIELDS}
        if "price" in self.fields:
            data.setdefault("price_cents", None)
        return data


def sponsor_initial(sponsor: Sponsor) -> dict[str, Any]:
    """A placement as the form has it."""
    return {
        **{name: getattr(sponsor, name) for name in facts.SPONSOR_WORDS},
        "seen": sponsors.fingerprint(sponsor),
        "price": ""
        if sponsor.price_cents is None
        else money.decimal_text(sponsor.price_cents, sponsor.currency),
    }
