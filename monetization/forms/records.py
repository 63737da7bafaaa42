"""What a creator records or changes on the dashboard: sponsors, subscriptions, refunds, keys."""

from typing import Any, TypedDict

from django import forms

from accounts import api_keys
from foundation import money
from foundation.http.fields import PlainText
from monetization import record_pages, sponsors
from monetization.api.serializers import Currency, WebAddress
from monetization.forms.fields import KeyedForm, Ruled, amount_field, cents_of, moment_field
from monetization.models import NAME_LENGTH, PLAN_LENGTH, PRICE_CENTS_MAX, Sponsor, Subscription, Tip

# The scopes this service asks for, in the words of what they let somebody do.
SCOPES_HERE = {
    "monetization": "Record sponsors, subscriptions and tips, change them, and read them.",
    "read": "Read sponsors, subscriptions and tips. It records nothing.",
    "send:transactional": "Record tips, and nothing else here. In MisarMail it sends transactional mail.",
    "send": "Record tips, and nothing else here. In MisarMail it sends mail.",
}
SCOPES_ELSEWHERE = tuple(scope for scope in api_keys.SCOPES if scope not in SCOPES_HERE)

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


# --- Subscriptions ----------------------------------------------------------------------------------


class Wish(TypedDict, total=False):
    """What a subscription shall be; the amount is in its currency's smallest unit."""

    status: str
    plan: str
    amount_cents: int


class SubscriptionForm(forms.Form):
    """What a subscription has become: its status, its plan, its price in the currency it has.

    `seen` is the newest event of the subscription when the page was made.
    """

    status = forms.ChoiceField(
        choices=Subscription.Status.choices,
        widget=forms.RadioSelect(attrs={"class": "chip-input"}),
        error_messages={"required": "Choose a status.", "invalid_choice": "Choose one of these."},
    )
    plan = Ruled(
        PlainText(max_length=PLAN_LENGTH),
        help_text="Its name says the billing interval: monthly, annual, quarterly, weekly.",
        error_messages={"required": "Write the plan's name."},
    )
    price = amount_field("Price")
    seen = forms.CharField(
        max_length=64,
        widget=forms.HiddenInput,
        required=False,
    )
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, currency: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.currency = currency
        self.fields["price"].label = f"Price in {currency}"
        self.fields["plan"].widget.attrs.setdefault("class", "input")

    def clean_price(self) -> int:
        """The price in the currency's smallest unit."""
        cents = cents_of(self.cleaned_data["price"], self.currency)
        if cents > PRICE_CENTS_MAX:
            raise forms.ValidationError(f"The most is {money.amount(PRICE_CENTS_MAX, self.currency)}.")
        return cents

    def wish(self) -> Wish:
        """What the subscription shall be, under the names of the verb."""
        data = self.cleaned_data
        return {"status": data["status"], "plan": data["plan"], "amount_cents": data["price"]}


# --- Tips -------------------------------------------------------------------------------------------


class RefundForm(forms.Form):
    """How much of a tip goes back to its reader, at most what is left of it.

    `seen` is what had been refunded when the page was made: from there, one refund goes on. `fee` is what of
    the fee would go back, as the preview said.
    """

    amount = amount_field("Amount")
    seen = forms.IntegerField(min_value=0, max_value=10**12, widget=forms.HiddenInput)
    fee = forms.IntegerField(required=False, min_value=0, max_value=10**12, widget=forms.HiddenInput)
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, tip: Tip, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tip = tip
        left = money.amount(tip.refundable_cents, tip.currency)
        self.fields["amount"].label = f"Amount in {tip.currency}"
        self.fields["amount"].help_text = f"At most {left}, what is left of this tip."

    def clean_amount(self) -> int:
        """The amount in the currency's smallest unit, above 0. What is left is the verb's to say."""
        # All that is left can go back, also where it is no multiple of the currency's step.
        left = self.tip.refundable_cents
        cents = cents_of(self.cleaned_data["amount"], self.tip.currency, whatever_step=left)
        if cents == 0:
            raise forms.ValidationError("Write an amount above 0.")
        return cents


class MessageForm(forms.Form):
    """Whether a tip's message is to be hidden."""

    hidden = forms.ChoiceField(choices=[("yes", "Hide"), ("no", "Show")])


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


def sponsor_initial(sponsor: Sponsor) -> dict[str, Any]:
    """A placement as the form has it."""
    return {
        **{name: getattr(sponsor, name) for name in record_pages.SPONSOR_WORDS},
        "seen": sponsors.fingerprint(sponsor),
        "price": ""
        if sponsor.price_cents is None
        else money.decimal_text(sponsor.price_cents, sponsor.currency),
    }
