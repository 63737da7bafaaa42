"""The form for a placement, and the filters of the list of placements."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import User
from foundation import money
from foundation.calendar import DAY, day_of, last_day_of
from foundation.forms import KeyedForm
from foundation.http.fields import PlainText
from monetization import sponsors
from monetization.dashboard.fields import Ruled, amount_field, cents_of, day_field
from monetization.dashboard.filters import FilterForm, Order, choice_field
from monetization.fields import Currency, WebAddress
from monetization.models import NAME_LENGTH, PRICE_CENTS_MAX, Sponsor

# The fields of the form that make up a field of the placement, if they are not the same.
PARTS = {
    "active_from": ("first_day", "starts_at"),
    "active_until": ("last_day", "ends_at"),
    "price_cents": ("price",),
}
FIELD_OF_PART = {part: field for field, parts in PARTS.items() for part in parts}


class SponsorFilterForm(FilterForm):
    """Filters placements by the sponsor's name, state and position.

    The placement that begins last comes first. With the state "upcoming", the placement that begins first
    comes first.
    """

    model = Sponsor
    orders = {
        "-from": Order("Latest first", ("-active_from", "-pk")),
        "from": Order("Earliest first", ("active_from", "pk")),
        "name": Order("Sponsor, A to Z", ("sponsor_name", "pk")),
        "-name": Order("Sponsor, Z to A", ("-sponsor_name", "-pk")),
        # Prices of different currencies are not compared: each currency is a group of its own.
        "-price": Order("Highest price first", ("-currency", "-known_price_cents", "-pk")),
        "price": Order("Lowest price first", ("currency", "known_price_cents", "pk")),
    }
    conditions = {
        "sponsor": lambda name: Q(sponsor_name__icontains=name),
        "position": lambda position: Q(position=position),
    }
    # A sponsor's name is no reader's, so it may stand in the URL.
    sponsor = forms.CharField(
        required=False,
        label="Sponsor's name",
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
    state = choice_field("State", "All states", Sponsor.State.choices)
    position = choice_field("Position", "All positions", Sponsor.Position.choices)

    def __init__(self, given: Mapping[str, str], creator: User) -> None:
        if given.get("state", "").strip() == Sponsor.State.UPCOMING:  # Its first order is another one.
            first = self.orders["from"]
            self.orders = {"from": first} | dict(self.orders)  # type: ignore[misc]
        super().__init__(given, creator)

    @property
    def mine(self) -> QuerySet[Any]:
        """All placements of the creator. Sorted by price, one without a price stands with those for 0."""
        placements: QuerySet[Any] = super().mine
        return placements.annotate(known_price_cents=Coalesce("price_cents", 0))

    def records(self) -> QuerySet[Any]:
        """Return the placements that match. The state is the state at `self.now`, when the form was made."""
        placements: Any = super().records()
        state = self.cleaned_data.get("state")
        return placements.in_state(state, self.now) if state else placements


def web_address(*schemes: str, **options: Any) -> Ruled:
    """Return a field for a web address that starts with one of these schemes."""
    starts = " or ".join(f"{scheme}://" for scheme in schemes)
    sentence = f"Enter a web address starting with {starts}, without a user name or password."
    options["error_messages"] |= {"url": sentence}
    return Ruled(WebAddress(*schemes), **options)


class TimeInput(forms.TimeInput):
    """A browser's time field. It shows seconds only if the time has seconds."""

    input_type = "time"

    def format_value(self, value: Any) -> Any:
        if isinstance(value, time):
            return value.isoformat("seconds" if value.second else "minutes")
        return value


def time_field(label: str, help_text: str) -> forms.TimeField:
    return forms.TimeField(
        required=False,
        label=label,
        help_text=help_text,
        input_formats=["%H:%M", "%H:%M:%S"],
        # `step` lets browsers accept any second: a placement from the API may end at 23:59:59.
        widget=TimeInput(attrs={"class": "input input-short", "step": "1"}),
        error_messages={"invalid": "Enter a time such as 09:30."},
    )


class SponsorForm(KeyedForm):
    """The form for a placement: the sponsor, the position, the period and the price.

    The period has a first and a last day, both included, in UTC. A time of day is only for a placement that
    does not begin or end at midnight.

    `editable` names the fields of the placement that can still change. The form also has `seen`, the
    fingerprint of the placement that the page showed. For a new placement, `editable` is None and the form
    has a one-time key instead of `seen`. `used` are the currencies that the form offers first.
    """

    seen = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    sponsor_name = Ruled(
        PlainText(max_length=NAME_LENGTH),
        label="Sponsor",
        widget=forms.TextInput(
            attrs={
                "class": "input",
                "maxlength": NAME_LENGTH,
                "autocomplete": "off",
                "list": "known_sponsors",
            }
        ),
        error_messages={"required": "Write the sponsor's name."},
    )
    position = forms.ChoiceField(
        choices=Sponsor.Position.choices,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a position.", "invalid_choice": "Choose one of these positions."},
    )
    first_day = day_field("First day", "Choose the first day.", "First day it is shown.")
    last_day = day_field("Last day", "Choose the last day.", "Last day it is shown.")
    starts_at = time_field("Starts at, UTC", "On the first day. Empty: when the day begins.")
    ends_at = time_field("Ends at, UTC", "On the last day. Empty: when the day is over.")
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
        widget=forms.Select(attrs={"class": "input input-short"}),
        error_messages={"required": "Choose a currency."},
    )

    def __init__(
        self, *args: Any, editable: frozenset[str] | None = None, used: Iterable[str] = (), **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.fields["currency"].widget.choices = _currency_choices(used)
        if editable is None:
            del self.fields["seen"]
        else:
            kept = {"seen"} | {part for field in editable for part in PARTS.get(field, (field,))}
            self.fields = {name: field for name, field in self.fields.items() if name in kept}

    @property
    def has_exact_times(self) -> bool:
        """Whether a time of day is filled in, or is wrong. The page then shows the fields for them."""
        return any(self[name].value() for name in ("starts_at", "ends_at") if name in self.fields)

    def clean(self) -> dict[str, Any]:
        """Make the period's moments, and convert the price to its currency's smallest unit.

        Refuse a period that ends before it begins.
        """
        data = super().clean() or self.cleaned_data
        begins = ends = None
        if (first_day := data.get("first_day")) and "starts_at" in data:
            begins = data["active_from"] = _moment(first_day, data["starts_at"] or time.min)
        if (last_day := data.get("last_day")) and "ends_at" in data:
            try:
                ends = data["active_until"] = _end(last_day, data["ends_at"])
            except OverflowError:
                self.add_error("last_day", "Choose an earlier day.")
        if begins and ends and ends <= begins:
            self.add_error("last_day", "It must end after it begins.")
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


def fields_sent(form_data: Mapping[str, Any]) -> set[str]:
    """Return the fields of a placement of which a form sent a part."""
    return sponsors.FIELDS.keys() & {FIELD_OF_PART.get(name, name) for name in form_data}


def sponsor_initial(sponsor: Sponsor) -> dict[str, Any]:
    """Return a placement's values for the fields of the form."""
    price = sponsor.price_cents
    return {
        **{name: getattr(sponsor, name) for name in sponsors.FIELDS if name not in PARTS},
        **period_initial(sponsor.active_from, sponsor.active_until),
        "seen": sponsors.fingerprint(sponsor),
        "price": "" if price is None else money.decimal_text(price, sponsor.currency),
    }


def period_initial(begins: datetime, ends: datetime) -> dict[str, Any]:
    """Return the period [begins, ends) for the form: its days, and the times that are no midnight."""
    begins, ends = begins.astimezone(UTC), ends.astimezone(UTC)
    return {
        "first_day": day_of(begins),
        "starts_at": begins.time() if begins.time() != time.min else None,
        "last_day": last_day_of(ends),
        "ends_at": ends.time() if ends.time() != time.min else None,
    }


def _moment(day: date, at: time) -> datetime:
    return datetime.combine(day, at, tzinfo=UTC)


def _end(last_day: date, at: time | None) -> datetime:
    return _moment(last_day, time.min) + DAY if at is None else _moment(last_day, at)


def _currency_choices(used: Iterable[str]) -> list[tuple[str, Any]]:
    every = [(code, code) for code in sorted(money.EXPONENTS)]
    first = [(code, code) for code in used]
    return [("Used so far", first), ("All", every)] if first else every
