"""What staff may do to wallets, charges, payments and prices, each with a form, a reason and a permission."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.misar_ids import MISAR_ID_LENGTH, is_misar_id
from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import Facts, ReasonForm, SettingForm, told_from_to
from backoffice.actions.staff_action import Addition, Made, StaffAction
from backoffice.credits import limits
from foundation import money
from foundation.errors import KeyReused
from wallet.books import ledger
from wallet.books.models import FEATURE_LENGTH
from wallet.errors import EventFailed, NotToResolve, StripeOutOfReach
from wallet.models import Entry, Rate, StripeEvent, TopUp, Wallet
from wallet.payments import inbox, sessions, settlement, stripe_gateway
from wallet.payments.sessions import text_at
from wallet.prices import rates

# What the books let a unit cost (wallet_rate_is_never_free).
RATE_CREDITS_MAX = 1_000_000_000


class CreditsForm(ReasonForm):
    """How many credits, and why. The form says how many its member of staff may still move."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "credits" in self.fields and (allowance := limits.of(self.staff)):
            self.tell_limit("credits", allowance.in_words)

    def clean_credits(self) -> int | None:
        credits = cast(int | None, self.cleaned_data["credits"])
        if credits == 0:
            raise forms.ValidationError("0 credits move nothing.")
        if abs(credits or 0) > settings.ADJUSTMENT_CREDITS_MAX:
            raise forms.ValidationError(f"At most {settings.ADJUSTMENT_CREDITS_MAX:,} credits at once.")
        return credits


class AdjustmentForm(CreditsForm):
    """How many credits, and why."""

    credits = forms.IntegerField(
        help_text="Whole credits: 25 adds, -25 takes. No more can be taken than there is."
    )
    field_order = ("credits", "reason")

    def facts(self) -> Facts:
        """What the page says of the wallet."""
        return [
            ("Balance", money.credits(self.row.balance)),
            ("Entries", money.plain(self.row.entries_count)),
        ]


def adjust(wallet: Wallet, asked: dict[str, Any], staff: User) -> str:
    """Run the adjustment staff asked for."""
    entry = ledger.adjust(
        user_id=wallet.pk,
        credits=asked["credits"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    limits.require_kept(staff, entry.credits)
    return f"Adjusted by {money.signed(entry.credits)} credits to {money.plain(entry.balance_after)}."


def _require_theirs(entry: Entry, staff: User) -> None:
    """Raise KeyReused where a colleague's form had this very key: the entry is of their act."""
    if entry.actor != actor_of(staff):
        raise KeyReused


class GiveBackForm(CreditsForm):
    """How much of a charge, and why."""

    credits = forms.IntegerField(
        min_value=1, required=False, help_text="Whole credits; empty for all that is left of the charge."
    )
    field_order = ("credits", "reason")

    def facts(self) -> Facts:
        """What the page says of the charge."""
        given_back = Entry.objects.given_back(self.row)
        return [
            ("Charged", f"{money.credits(self.row.charged)} for {self.row.feature}, by {self.row.product}"),
            ("Given back", money.credits(given_back)),
            ("Left", money.credits(self.row.charged - given_back)),
        ]


def give_back(charge: Entry, asked: dict[str, Any], staff: User) -> str:
    """Give a charge back, wholly or in part."""
    entry = ledger.give_back(
        entry=charge,
        credits=asked["credits"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    _require_theirs(entry, staff)
    limits.require_kept(staff, entry.credits)
    return f"Gave {money.credits(entry.credits)} of {charge.pk} back."


# --- Payments -----------------------------------------------------------------------------------------


class EventForm(ReasonForm):
    """Why, beneath what the event is."""

    def facts(self) -> Facts:
        """What the page says of the event."""
        return [
            ("Event", self.row.type),
            ("State", self.row.get_state_display()),
            ("Remark", self.row.remark),
            ("Session", self.row.stripe_session_id),
            ("Stripe says", _payment_in_words(self.row)),
            ("Payment at Stripe", payment_link(self.row)),
        ]


def payment_link(event: StripeEvent) -> str:
    """The payment of an event, as a link to its page in Stripe's dashboard."""
    url = stripe_gateway.page_of_payment(event.payment_intent_id)
    if not url:
        return event.payment_intent_id
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', url, event.payment_intent_id)


def _payment_in_words(event: StripeEvent) -> str:
    """The amount that an event tells of and whether it was paid; "" where it tells of none."""
    told = sessions.session_of(event)
    cents, currency = told.get("amount_total"), text_at(told, "currency").upper()
    if type(cents) is not int or cents < 0 or not money.is_currency(currency):
        return ""
    status = text_at(told, "payment_status")
    return f"{money.amount(cents, currency)}, {status if status.isidentifier() else 'not said whether paid'}"


def replay(event: StripeEvent, asked: dict[str, Any], staff: User) -> str:
    """Handle a stored event again, as if Stripe had just sent it. To fail again is an act too."""
    try:
        inbox.handle(event)
    except EventFailed:
        return "It failed again: the traceback stands on the event."
    if event.state == StripeEvent.State.RESOLVED:
        raise NotToResolve("This event was resolved by hand meanwhile: it is not handled again")
    return f"Handled again, now {event.get_state_display().lower()}. {event.remark}".strip()


class ResolveForm(EventForm, CreditsForm):
    """How a payment that no event can credit was settled, and why."""

    credits = forms.IntegerField(
        min_value=1,
        required=False,
        label="Credits to give",
        help_text="Whole credits; empty where none are to be given, as for a payment that was refunded.",
    )
    user_id = forms.CharField(
        max_length=MISAR_ID_LENGTH, required=False, label="To whom", help_text="A Misar ID, whole."
    )
    field_order = ("credits", "user_id", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.staff.has_perm("wallet.adjust_wallet"):
            self.initial.setdefault("user_id", self.row.user_id)
        else:  # They may close the event, and give nothing.
            del self.fields["credits"], self.fields["user_id"]

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        if asked.get("credits") and not is_misar_id(asked.get("user_id")):
            self.add_error("user_id", "Say whose credits these are: a Misar ID.")
        return asked


def resolve(event: StripeEvent, asked: dict[str, Any], staff: User) -> str | Done:
    """Close an event that can have no effect by itself, giving its credits by hand where that is right."""
    credits = asked.get("credits")
    user_id = asked["user_id"] if credits else ""
    settlement.resolve(
        event,
        user_id=user_id,
        credits=credits,
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    event.refresh_from_db()
    if not credits:
        return "Resolved by hand; no credits were given."
    limits.require_kept(staff, credits)
    return Done(event, f"Resolved by hand; {money.credits(credits)} went to {user_id}.", about=user_id)


class AskForm(ReasonForm):
    """Why Stripe is asked, and what it answered: asked here, while no transaction is open."""

    def facts(self) -> Facts:
        """What the page says of the top-up."""
        asked_for = self.row.amount_cents
        return [
            ("State", self.row.get_state_display()),
            ("Asked for", money.dollars(asked_for) if asked_for is not None else ""),
            ("Session", self.row.stripe_session_id),
            ("Remark", self.row.remark),
        ]

    def clean(self) -> dict[str, Any]:
        asked = super().clean() or self.cleaned_data
        if not self.row.stripe_session_id:
            raise forms.ValidationError("Stripe never answered with a session for this top-up.")
        if not self.errors:
            try:
                asked["session"] = stripe_gateway.session_while_waited_for(self.row.stripe_session_id)
            except StripeOutOfReach as error:
                raise forms.ValidationError("Stripe does not answer right now; please try again.") from error
        return asked


def ask_stripe(topup: TopUp, asked: dict[str, Any], staff: User) -> str:
    """Bring a top-up to what Stripe says of its session."""
    session = asked["session"]
    if session is None:
        return "Stripe knows no such session; nothing was changed."
    return settlement.settle_as_told(session)


# --- Prices -------------------------------------------------------------------------------------------


class RateForm(SettingForm):
    """What one unit of a feature costs."""

    label = forms.CharField(max_length=200, help_text="As users read it on their statement.")
    credits = forms.IntegerField(
        min_value=1,
        max_value=RATE_CREDITS_MAX,
        help_text="Whole credits for one unit, from now on. Charges made before are not touched.",
    )
    unit = forms.CharField(max_length=100, help_text="What one unit is: article, 1000 emails.")
    active = forms.BooleanField(
        required=False, initial=True, label="Can be charged", help_text="Without this, charges are refused."
    )
    setting = ("label", "credits", "unit", "active")
    field_order: tuple[str, ...] = ("label", "credits", "unit", "active", "reason")


class NewRateForm(RateForm):
    """A feature that has no price yet."""

    feature = forms.CharField(
        max_length=FEATURE_LENGTH,
        help_text="As products charge it, for good: blog.article.generate.",
    )
    field_order = ("feature", *RateForm.field_order)

    def clean_feature(self) -> str:
        feature: str = self.cleaned_data["feature"]
        # What the API could not name could never be charged.
        if not feature.isprintable():
            raise forms.ValidationError("Printable characters only.")
        return feature


def change_rate(rate: Rate, asked: dict[str, Any], staff: User) -> str:
    """Set what a feature costs from now on."""
    before = rates.locked(rate.pk)
    RateForm.require_as_shown(before, asked)
    told = told_from_to(
        before.feature, _rate_in_words(**RateForm.shown(before)), _rate_in_words(**_rate(asked))
    )
    rates.set_rate(feature=before.feature, actor=actor_of(staff), **_rate(asked))
    return told


def add_rate(asked: dict[str, Any], staff: User) -> Made:
    """Price a feature."""
    rate = rates.add_rate(feature=asked["feature"], actor=actor_of(staff), **_rate(asked))
    words = _rate_in_words(**_rate(asked))
    return Made(rate, f"Priced {rate.feature}: {words['price']} for each {rate.unit}; {words['state']}.")


def _rate(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: asked[name] for name in RateForm.setting}


def _rate_in_words(*, label: str, credits: int, unit: str, active: bool) -> dict[str, str]:
    return {
        "label": label,
        "price": money.credits(credits),
        "unit": unit,
        "state": "in use" if active else "withdrawn",
    }


# --- On which rows ------------------------------------------------------------------------------------

OF_WALLET = (StaffAction("adjust", "Adjust the balance", "wallet.adjust_wallet", adjust, AdjustmentForm),)
OF_ENTRY = (
    StaffAction(
        "give-back",
        "Give this charge back",
        "wallet.give_back_entry",
        give_back,
        GiveBackForm,
        applies=lambda entry: entry.kind in (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE),
    ),
)
OF_STRIPE_EVENT = (
    StaffAction(
        "replay",
        "Handle it again",
        "wallet.replay_stripeevent",
        replay,
        EventForm,
        applies=lambda event: event.state in inbox.REPLAYABLE,
    ),
    StaffAction(
        "resolve",
        "Resolve it by hand",
        "wallet.resolve_stripeevent",
        resolve,
        ResolveForm,
        applies=settlement.is_resolvable,
        warning="This closes the event for good: its payment is never credited by itself afterwards, "
        "whatever Stripe still sends. Look at the payment at Stripe first.",
    ),
)
OF_TOPUP = (
    StaffAction(
        "ask-stripe",
        "Ask Stripe",
        "wallet.settle_topup",
        ask_stripe,
        AskForm,
        applies=lambda topup: bool(topup.stripe_session_id) and topup.state != TopUp.State.PAID,
    ),
)
OF_RATE = (StaffAction("set", "Change this price", "wallet.change_rate", change_rate, RateForm),)
NEW_RATE = Addition("Add a price", "wallet.add_rate", add_rate, NewRateForm)
