"""What staff may do to wallets, charges, payments and prices, each with a form, a reason and a permission."""

from typing import Any, cast

from django import forms
from django.conf import settings

from accounts.acting import ReasonForm, Verb
from accounts.acts import actor_of
from accounts.models import User
from misar_billing import money
from wallet import ledger, webhooks
from wallet.models import Entry, StripeEvent, Wallet


class AdjustmentForm(ReasonForm):
    """How many credits, and why."""

    credits = forms.IntegerField(
        help_text="Whole credits: 25 adds, -25 takes. No more can be taken than there is."
    )
    field_order = ("credits", "reason")

    def clean_credits(self) -> int:
        credits = cast(int, self.cleaned_data["credits"])
        if credits == 0:
            raise forms.ValidationError("0 credits move nothing.")
        if abs(credits) > settings.ADJUSTMENT_CREDITS_MAX:
            raise forms.ValidationError(f"At most {settings.ADJUSTMENT_CREDITS_MAX:,} credits at once.")
        return credits


def adjust(wallet: Wallet, asked: dict[str, Any], staff: User) -> str:
    """Run the adjustment staff asked for."""
    entry = ledger.adjust(
        user_id=wallet.pk,
        credits=asked["credits"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    return f"Adjusted by {money.signed(entry.credits)} credits to {money.plain(entry.balance_after)}."


class GiveBackForm(ReasonForm):
    """How much of a charge, and why."""

    credits = forms.IntegerField(
        min_value=1, required=False, help_text="Whole credits; empty for all that is left of the charge."
    )
    field_order = ("credits", "reason")


def give_back(charge: Entry, asked: dict[str, Any], staff: User) -> str:
    """Give a charge back, wholly or in part."""
    entry = ledger.give_back(
        entry=charge,
        credits=asked["credits"],
        reason=asked["reason"],
        key=asked["key"],
        actor=actor_of(staff),
    )
    return f"Gave {money.plain(entry.credits)} credits back."


def replay(event: StripeEvent, asked: dict[str, Any], staff: User) -> str:
    """Handle a stored event again, as if Stripe had just sent it."""
    webhooks.handle(event)
    return f"Handled again: {event.get_state_display()}. {event.remark}".strip()


# --- On which rows ------------------------------------------------------------------------------------

OF_WALLET = (Verb("adjust", "Adjust the balance", "wallet.adjust_wallet", adjust, AdjustmentForm),)
OF_ENTRY = (
    Verb(
        "give-back",
        "Give this charge back",
        "wallet.give_back_entry",
        give_back,
        GiveBackForm,
        applies=lambda entry: entry.kind in (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE),
    ),
)
OF_STRIPE_EVENT = (
    Verb(
        "replay",
        "Handle it again",
        "wallet.replay_stripeevent",
        replay,
        applies=lambda event: event.state in webhooks.REPLAYABLE,
    ),
)
