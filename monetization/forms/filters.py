"""Which rows of a list to see. A value that cannot be read is told and left out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms

from monetization.forms.fields import DayField, amount_field, cents_of
from monetization.lists import SponsorFilter, SubscriptionFilter, TipFilter
from monetization.models import EMAIL_LENGTH, Sponsor, Subscription


class _FilterForm(forms.Form):
    """Which rows of a list to see. A value that cannot be read is told and left out."""

    folded: tuple[str, ...] = ()

    def __init__(self, data: Mapping[str, str], *, currencies: Sequence[str] = ()) -> None:
        super().__init__(dict(data), auto_id="filter_%s")
        if "currency" in self.fields:
            self._know_currencies(currencies)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "input")
            field.error_messages["invalid_choice"] = "There is nothing like this; it is left out."

    def read(self) -> dict[str, Any]:
        """What could be read of it."""
        self.is_valid()
        return self.cleaned_data

    def plain_fields(self) -> list[forms.BoundField]:
        """The fields that are always seen."""
        return [field for field in self.visible_fields() if field.name not in self.folded]

    def folded_fields(self) -> list[forms.BoundField]:
        """The fields that are folded away until one of them is used."""
        return [field for field in self.visible_fields() if field.name in self.folded]

    def opens(self) -> bool:
        """Whether one of those is used."""
        return any(self.data.get(name) for name in self.folded)

    def _know_currencies(self, currencies: Sequence[str]) -> None:
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All currencies"), *((code, code) for code in currencies)]
        if len(currencies) < 2:  # Nothing to choose.
            field.widget = forms.HiddenInput()


def _choice(label: str, everything: str, choices: Iterable[tuple[str, Any]]) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=[("", everything), *choices])


def _search(label: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(required=False, label=label, max_length=EMAIL_LENGTH + 1, widget=widget)


class SponsorFilterForm(_FilterForm):
    """Placements by state and position."""

    state = _choice("State", "All states", Sponsor.State.choices)
    position = _choice("Position", "All positions", Sponsor.Position.choices)

    def chosen(self, at: datetime) -> SponsorFilter:
        """The placements that are asked for, their state as of that moment."""
        read = self.read()
        return SponsorFilter(state=read.get("state", ""), position=read.get("position", ""), at=at)


class SubscriptionFilterForm(_FilterForm):
    """Subscriptions by status, billing interval and currency, or those of one reader or one Stripe id."""

    status = _choice("Status", "All", Subscription.Status.choices)
    interval = _choice("Billing interval", "All", [("unknown", "Not known, so not in MRR")])
    currency = _choice("Currency", "All currencies", ())
    search = _search("E-mail or Stripe id")

    def chosen(self) -> SubscriptionFilter:
        """The subscriptions that are asked for."""
        read = self.read()
        return SubscriptionFilter(
            status=read.get("status", ""),
            interval_unknown=read.get("interval") == "unknown",
            currency=read.get("currency", ""),
            search=read.get("search", ""),
        )


class TipFilterForm(_FilterForm):
    """Tips by day, amount, message and refund, or those of one reader or one Stripe id."""

    currency = _choice("Currency", "All currencies", ())
    least = amount_field("At least", required=False)
    message = _choice("Message", "All", [("with", "With a message"), ("without", "Without")])
    refunded = _choice("Refunded", "All", [("yes", "Refunded"), ("no", "Not refunded")])
    stripe = _choice("Stripe id", "All", [("none", "Without one")])
    search = _search("E-mail, name or Stripe id")
    field_order = ("from", "to", "search", "currency", "least", "message", "refunded", "stripe")
    folded = ("currency", "least", "message", "refunded", "stripe")

    def __init__(self, data: Mapping[str, str], *, currencies: Sequence[str] = ()) -> None:
        super().__init__(data, currencies=currencies)
        self.currencies = currencies
        # Words of Python, and the words of the address.
        self.fields["from"] = DayField("From")
        self.fields["to"] = DayField("To")
        for name in ("from", "to", "least"):
            self.fields[name].widget.attrs["class"] = "input"
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        """Leave out a last day before the first, and an amount of no certain currency."""
        data = super().clean() or self.cleaned_data
        first_day, last_day = data.get("from"), data.get("to")
        if first_day and last_day and last_day < first_day:
            self.add_error("to", "This day comes before the first; it is left out.")
        if data.get("least"):
            self._read_least(data)
        return data

    def chosen(self) -> TipFilter:
        """The tips that are asked for."""
        read = self.read()
        return TipFilter(
            first_day=read.get("from"),
            last_day=read.get("to"),
            currency=read.get("currency", ""),
            min_cents=read.get("min_cents"),
            with_message={"with": True, "without": False}.get(read.get("message", "")),
            refunded={"yes": True, "no": False}.get(read.get("refunded", "")),
            without_stripe_id=read.get("stripe") == "none",
            search=read.get("search", ""),
        )

    def _read_least(self, data: dict[str, Any]) -> None:
        only = self.currencies[0] if len(self.currencies) == 1 else ""
        currency = data.get("currency") or only
        if not currency:
            self.add_error("least", "Choose a currency with it; it is left out.")
            return
        try:
            data["min_cents"] = cents_of(data["least"], currency)
        except forms.ValidationError as error:
            self.add_error("least", error)
