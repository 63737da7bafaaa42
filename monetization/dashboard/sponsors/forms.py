"""The form for a placement, and the filters of the list of placements."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from foundation import money
from foundation.forms import KeyedForm
from foundation.http.fields import PlainText
from monetization import sponsors
from monetization.dashboard.fields import Ruled, amount_field, cents_of, moment_field
from monetization.dashboard.filters import FilterForm, Order, choice_field
from monetization.fields import Currency, WebAddress
from monetization.models import NAME_LENGTH, PRICE_CENTS_MAX, Sponsor


class SponsorFilterForm(FilterForm):
    """Filters placements by state and position. The placement that begins last comes first.

    With the state "upcoming", the placement that begins first comes first.
    """

    model = Sponsor
    orders = {"-from": Order("Latest first", ("-active_from", "-pk"))}
    conditions = {"position": lambda position: Q(position=position)}
    state = choice_field("State", "All states", Sponsor.State.choices)
    position = choice_field("Position", "All positions", Sponsor.Position.choices)

    def records(self) -> QuerySet[Any]:
        """Return the placements that match. The state is the state at `self.now`, when the form was made."""
        placements: Any = super().records()
        state = self.cleaned_data.get("state")
        if state:
            placements = placements.in_state(state, self.now)
        return placements.order_by("active_from", "pk") if state == Sponsor.State.UPCOMING else placements


def web_address(*schemes: str, **options: Any) -> Ruled:
    """Return a field for a web address that starts with one of these schemes."""
    starts = " or ".join(f"{scheme}://" for scheme in schemes)
    sentence = f"Enter a web address starting with {starts}, without a user name or password."
    options["error_messages"] |= {"url": sentence}
    return Ruled(WebAddress(*schemes), **options)


class SponsorForm(KeyedForm):
    """The form for a placement: the sponsor, the position, the period and the price.

    `editable` names the fields that can still change. The form also has `seen`, the fingerprint of the
    placement that the page showed. For a new placement, `editable` is None and the form has a one-time key
    instead of `seen`.
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
        "Until, UTC", "When it stops. With 00:00, the day before is the last day it is shown."
    )
    target_url = web_address(
        "http",
        "https",
        label="Target address",
        help_text="Where a click leads, such as https://acme.example.com.",
        error_messages={"required": "Write the address that a click leads to."},
    )
    logo_url = web_address(
        "https",
        label="Logo address",
        help_text="An https address. We don't copy the image; keep it online.",
        error_messages={"required": "Write the address of the logo."},
    )
    price = amount_field("Price", "Optional. For your records.", required=False)
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
            self.fields = {name: field for name, field in self.fields.items() if name in kept}

    def clean(self) -> dict[str, Any]:
        """Convert the price to its currency's smallest unit. Refuse a period that ends before it begins."""
        data = super().clean() or self.cleaned_data
        begins, ends = data.get("active_from"), data.get("active_until")
        if begins and ends and ends <= begins:
            self.add_error("active_until", "It must end after it begins.")
        if data.get("price") and data.get("currency"):
            try:
                data["price_cents"] = cents_of(data["price"], data["currency"], most=PRICE_CENTS_MAX)
            except forms.ValidationError as error:
                self.add_error("price", error)
        return data

    def changes(self) -> dict[str, Any]:
        """Return what the creator entered, with the parameter names of `place` and `edit`."""
        data = {name: value for name, value in self.cleaned_data.items() if name in sponsors.FIELDS}
        if "price" in self.fields:
            data.setdefault("price_cents", None)
        return data


def sponsor_initial(sponsor: Sponsor) -> dict[str, Any]:
    """Return a placement's values for the fields of the form."""
    price = sponsor.price_cents
    return {
        **{name: getattr(sponsor, name) for name in sponsors.FIELDS},
        "seen": sponsors.fingerprint(sponsor),
        "price": "" if price is None else money.decimal_text(price, sponsor.currency),
    }
