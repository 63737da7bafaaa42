"""What staff may do to wallets, charges, payments and prices."""

from dataclasses import replace
from typing import Any

from django import forms

from accounts.actors import actor_of
from accounts.misar_ids import MISAR_ID_LENGTH, is_misar_id
from accounts.models import User
from backoffice.actions import changes
from backoffice.actions.acts import Done
from backoffice.actions.forms import Preview, ReasonForm, SettingForm, summary_of_changes
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.credits import budgets, grants, holds, limits, parked, previews, refunds, reversals
from backoffice.credits.credits_form import CreditsForm
from backoffice.credits.funds import facts_of_wallet
from backoffice.errors import OutdatedPreview
from foundation import money
from foundation.errors import KeyReused
from foundation.validators import validate_id, validate_line
from wallet.books.models import FEATURE_LENGTH
from wallet.charges import adjustments, give_backs
from wallet.errors import EventFailed, NotToResolve, StripeOutOfReach
from wallet.history.products import name_of
from wallet.models import Entry, Rate, StripeEvent, TopUp, Wallet
from wallet.payments import inbox, resolving, sessions, settlement, stripe_gateway
from wallet.payments.sessions import text_at
from wallet.prices import rates

# The highest price that the database allows (the constraint wallet_rate_is_never_free).
RATE_CREDITS_MAX = 1_000_000_000


class AdjustmentForm(CreditsForm):
    """How many credits to add or remove."""

    credits = forms.IntegerField(
        help_text="Use 25 to add, \N{MINUS SIGN}25 to remove. Only available credits can be removed."
    )
    field_order = ("credits", "reason")


def adjust(wallet: Wallet, form_data: dict[str, Any], staff: User) -> str:
    """Add credits to a wallet, or remove credits from it."""
    entry = adjustments.adjust(
        user_id=wallet.pk,
        credits=form_data["credits"],
        reason=form_data["reason"],
        key=form_data["key"],
        actor=actor_of(staff),
    )
    limits.require_kept(staff, entry.credits)
    return f"Adjusted by {money.signed(entry.credits)} credits to {money.plain(entry.balance_after)}."


class GiveBackForm(CreditsForm):
    """How much of a charge to give back."""

    credits = forms.IntegerField(
        min_value=1,
        required=False,
        help_text="Whole credits; leave empty for all that is left of the charge.",
    )
    field_order = ("credits", "reason")


def give_back(charge: Entry, form_data: dict[str, Any], staff: User) -> str:
    """Give back a charge or a part of it."""
    entry = give_backs.give_back(
        entry=charge,
        credits=form_data["credits"],
        reason=form_data["reason"],
        key=form_data["key"],
        actor=actor_of(staff),
    )
    if entry.actor != actor_of(staff):  # A colleague's form already used this key.
        raise KeyReused
    given_back = Entry.objects.given_back(charge) - entry.credits
    if form_data["seen"] and given_back != form_data["basis"]:  # It may have been for the same reason.
        raise OutdatedPreview("Credits of this charge were given back since you saw what would change")
    limits.require_kept(staff, entry.credits)
    return f"Gave {money.credits(entry.credits)} of {charge.pk} back."


def preview_give_back(charge: Entry, form_data: dict[str, Any], staff: User) -> Preview:
    """Return what giving back adds to the balance. Raises what `give_back` raises."""
    given_back = Entry.objects.given_back(charge)
    show = previews.of(give_back, lambda charge, form_data: charge.wallet_id)
    return replace(show(charge, form_data, staff), basis=given_back)


def _charge_facts(charge: Entry) -> Facts:
    given_back = Entry.objects.given_back(charge)
    return [
        ("Charged", f"{money.credits(charge.charged)} for {charge.feature}, by {name_of(charge.product)}"),
        ("Given back", money.credits(given_back)),
        ("Left", money.credits(charge.charged - given_back)),
    ]


# --- Payments -----------------------------------------------------------------------------------------


def _event_facts(event: StripeEvent) -> Facts:
    return [
        ("Event", event.type),
        ("State", event.get_state_display()),
        ("Remark", event.remark),
        ("What to do", parked.what_to_do(event)),
        ("Session", event.stripe_session_id),
        ("Stripe says", _payment_in_words(event)),
        ("Reported since", reversals.reported_of(event.payment_intent_id)),
        ("Payment at Stripe", reversals.payment_link(event.payment_intent_id)),
    ]


def _payment_in_words(event: StripeEvent) -> str:
    """The amount and the payment status of an event's session; "" if the amount is not valid."""
    session = sessions.session_of(event)
    cents, currency = session.get("amount_total"), text_at(session, "currency").upper()
    if type(cents) is not int or cents < 0 or not money.is_currency(currency):
        return ""
    status = text_at(session, "payment_status")
    return f"{money.amount(cents, currency)}, {status if status.isidentifier() else 'payment status unknown'}"


def replay(event: StripeEvent, form_data: dict[str, Any], staff: User) -> str:
    """Handle a stored event again, as if Stripe had just sent it. If this fails, the act is still saved."""
    try:
        inbox.handle(event)
    except EventFailed:
        return "It failed again. The event shows the traceback."
    if event.state == StripeEvent.State.RESOLVED:
        raise NotToResolve("This event was resolved by hand meanwhile: it is not handled again")
    return f"Handled again, now {event.get_state_display().lower()}. {event.remark}".strip()


class ResolveForm(CreditsForm):
    """How many credits to give to which user, for a payment that cannot be credited automatically.

    An event about a refund or a dispute pays for no credits, so its form has only the reason.
    """

    credits = forms.IntegerField(
        min_value=1,
        required=False,
        label="Credits to give",
        help_text="Whole credits; leave empty to give none, for example if the payment was refunded.",
    )
    user_id = forms.CharField(
        max_length=MISAR_ID_LENGTH, required=False, label="To whom", help_text="A whole Misar ID."
    )
    field_order = ("credits", "user_id", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        may_give = self.staff.has_perm("wallet.adjust_wallet")
        if may_give and not parked.is_about_reversal(self.row):
            self.initial.setdefault("user_id", self.row.user_id)
        else:  # This staff member may close the event, but gives no credits.
            del self.fields["credits"], self.fields["user_id"]

    def clean(self) -> dict[str, Any]:
        form_data = super().clean() or self.cleaned_data
        if form_data.get("credits") and not is_misar_id(form_data.get("user_id")):
            self.add_error("user_id", "Enter the Misar ID of the user who gets the credits.")
        return form_data


def resolve(event: StripeEvent, form_data: dict[str, Any], staff: User) -> str | Done:
    """Close an event that cannot be credited automatically, and give credits for it if the form says so."""
    credits = form_data.get("credits")
    user_id = form_data["user_id"] if credits else ""
    resolving.resolve(
        event,
        user_id=user_id,
        credits=credits,
        reason=form_data["reason"],
        key=form_data["key"],
        actor=actor_of(staff),
    )
    event.refresh_from_db()
    if not credits:
        return "Resolved by hand; no credits were given."
    limits.require_kept(staff, credits)
    return Done(event, f"Resolved by hand; {money.credits(credits)} went to {user_id}.", about=user_id)


class AskForm(ReasonForm):
    """Asks Stripe for a top-up's session while the form is validated, because no transaction is open then."""

    def clean(self) -> dict[str, Any]:
        form_data = super().clean() or self.cleaned_data
        if not self.row.stripe_session_id:
            raise forms.ValidationError("Stripe never opened a session for this top-up.")
        if not self.errors:
            try:
                form_data["session"] = stripe_gateway.session_while_waited_for(self.row.stripe_session_id)
            except StripeOutOfReach as error:
                raise forms.ValidationError("Stripe does not answer right now; please try again.") from error
        return form_data


def _topup_facts(topup: TopUp) -> Facts:
    cents = topup.amount_cents
    return [
        ("State", topup.get_state_display()),
        ("Asked for", money.dollars(cents) if cents is not None else ""),
        ("Session", topup.stripe_session_id or ""),
        ("Remark", topup.remark),
    ]


def ask_stripe(topup: TopUp, form_data: dict[str, Any], staff: User) -> str:
    """Update a top-up to match what Stripe says about its session."""
    session = form_data["session"]
    if session is None:
        return "Stripe knows no such session; nothing was changed."
    return settlement.settle_as_told(session)


# --- Prices -------------------------------------------------------------------------------------------


class RateForm(SettingForm):
    """The price of one unit of a feature."""

    label = forms.CharField(
        max_length=200, validators=[validate_line], help_text="The name on users' statements."
    )
    credits = forms.IntegerField(
        min_value=1,
        max_value=RATE_CREDITS_MAX,
        help_text="Whole credits for one unit, from now on. Earlier charges stay as they are.",
    )
    unit = forms.CharField(
        max_length=100, validators=[validate_line], help_text="What one unit is: article, 1,000 emails."
    )
    active = forms.BooleanField(
        required=False, initial=True, label="Can be charged", help_text="If off, charges are refused."
    )
    setting = ("label", "credits", "unit", "active")
    field_order: tuple[str, ...] = ("label", "credits", "unit", "active", "reason")


class NewRateForm(RateForm):
    """The price of a feature that has no price yet."""

    feature = forms.CharField(
        max_length=FEATURE_LENGTH,
        validators=[validate_id],  # A feature with other characters could never be charged.
        help_text="The name that products charge, such as blog.article.generate. It can't be changed later.",
    )
    field_order = ("feature", *RateForm.field_order)


def change_rate(rate: Rate, form_data: dict[str, Any], staff: User) -> str:
    """Change the price of a feature from now on."""
    before, values = rates.locked(rate.pk), RateForm.values(form_data)
    RateForm.require_as_shown(before, form_data)
    words_before = _rate_in_words(before)
    summary = summary_of_changes(before.feature, words_before, _words_of(**values))
    rates.set_rate(feature=before.feature, actor=actor_of(staff), **values)
    return summary


def add_rate(row: None, form_data: dict[str, Any], staff: User) -> Done:
    """Set the first price of a feature."""
    values = RateForm.values(form_data)
    rate = rates.add_rate(feature=form_data["feature"], actor=actor_of(staff), **values)
    words = _words_of(**values)
    return Done(rate, f"Priced {rate.feature}: {words['price']} for each {rate.unit}; {words['state']}.")


def _rate_in_words(rate: Rate) -> dict[str, str]:
    return _words_of(**RateForm.shown(rate))


def _words_of(*, label: str, credits: int, unit: str, active: bool) -> dict[str, str]:
    return {
        "label": label,
        "price": money.credits(credits),
        "unit": unit,
        "state": "in use" if active else "withdrawn",
    }


def _what_resolving_does(event: StripeEvent) -> str:
    if parked.is_about_reversal(event):
        return (
            "This closes the event for good, and moves no credits. Adjust the user's balance first, if it "
            "must change."
        )
    return (
        "This closes the event for good. Its payment is never credited automatically afterwards, whatever "
        "Stripe sends. Check the payment at Stripe first."
    )


# --- The actions of each list -------------------------------------------------------------------------

OF_WALLET = (
    StaffAction(
        "adjust",
        "Adjust the balance",
        "wallet.adjust_wallet",
        adjust,
        AdjustmentForm,
        facts=facts_of_wallet,
        preview=previews.of(adjust, lambda wallet, form_data: wallet.pk),
    ),
    *grants.OF_WALLET,
    *budgets.OF_WALLET,
    *holds.OF_WALLET,
)
OF_ENTRY = (
    StaffAction(
        "give-back",
        "Give this charge back",
        "wallet.give_back_entry",
        give_back,
        GiveBackForm,
        applies=lambda entry: entry.kind in give_backs.CHARGES,
        facts=_charge_facts,
        preview=preview_give_back,
    ),
)
OF_STRIPE_EVENT = (
    StaffAction(
        "replay",
        "Handle it again",
        "wallet.replay_stripeevent",
        replay,
        applies=lambda event: event.state in inbox.REPLAYABLE,
        facts=_event_facts,
    ),
    StaffAction(
        "resolve",
        "Resolve it by hand",
        "wallet.resolve_stripeevent",
        resolve,
        ResolveForm,
        applies=resolving.is_resolvable,
        facts=_event_facts,
        warning=_what_resolving_does,
        preview=previews.of(
            resolve,
            # As the act: without credits, it is about the user of the event.
            lambda event, form_data: form_data["user_id"] if form_data.get("credits") else event.user_id,
            locks_wallet_first=False,
        ),
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
        facts=_topup_facts,
    ),
    *refunds.OF_TOPUP,
)
OF_RATE = (
    StaffAction(
        "set",
        "Change this price",
        "wallet.change_rate",
        change_rate,
        RateForm,
        preview=changes.of(
            change_rate, _rate_in_words, note="From the next charge on. Earlier charges stay as they are."
        ),
    ),
)
NEW_RATE = StaffAction(
    "add",
    "Add a price",
    "wallet.add_rate",
    add_rate,
    NewRateForm,
    preview=changes.of(add_rate, lambda rate: {"feature": rate.feature, **_rate_in_words(rate)}),
)
