"""The wallet in the back-office: everything can be seen, and balances move only with a reason."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.acting import ActingAdmin, ReasonForm, Verb
from accounts.acts import actor_of
from accounts.misar_ids import is_misar_id
from accounts.models import User
from misar_billing import money
from misar_billing.admin import ReadOnlyAdmin
from wallet import ledger, rates, webhooks
from wallet.models import Entry, Rate, RateChange, StripeEvent, TopUp, Wallet


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


@admin.register(Wallet)
class WalletAdmin(ActingAdmin):
    list_display = ("user_id", "balance", "entries_count", "created_at")
    search_fields = ("user_id__exact",)
    search_help_text = "A Misar ID, whole."
    ordering = ("user_id",)
    verbs = (Verb("adjust", "Adjust the balance", "wallet.adjust_wallet", adjust, AdjustmentForm),)
    readonly_fields = ("history",)
    change_list_template = "admin/wallets.html"

    def not_there_yet(self, key: str) -> Wallet | None:
        """A user whose first payment was parked has no wallet, and may be given credits all the same."""
        return ledger.unopened(key) if is_misar_id(key) else None

    @admin.display(description="entries")
    def history(self, wallet: Wallet) -> str:
        url = reverse("admin:wallet_entry_changelist")
        return format_html(
            '<a href="{}?wallet__user_id__exact={}">{} entries</a>', url, wallet.pk, wallet.entries_count
        )


@admin.register(Entry)
class EntryAdmin(ActingAdmin):
    list_display = (
        "id",
        "created_at",
        "wallet_id",
        "kind",
        "feature",
        "product",
        "credits",
        "balance_after",
        "actor",
    )
    list_filter = ("kind", "product")
    search_fields = (
        "wallet__user_id__exact",
        "id__exact",
        "idempotency_key__exact",
        "stripe_session_id__exact",
    )
    search_help_text = "A Misar ID, an entry, an idempotency key or a Stripe session; whole."
    ordering = ("-created_at",)
    verbs = (
        Verb(
            "give-back",
            "Give this charge back",
            "wallet.give_back_entry",
            give_back,
            GiveBackForm,
            applies=lambda entry: entry.kind in (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE),
        ),
    )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "wallet__user_id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(TopUp)
class TopUpAdmin(ActingAdmin):
    list_display = (
        "id",
        "created_at",
        "user_id",
        "product",
        "state",
        "asked",
        "paid",
        "stripe_session_id",
        "remark",
    )
    list_filter = ("state", "product")
    search_fields = ("user_id__exact", "id__exact", "stripe_session_id__exact", "payment_intent_id__exact")
    search_help_text = "A Misar ID, a top-up, a Stripe session or a payment intent; whole."
    ordering = ("-created_at",)

    @admin.display(description="asked for", ordering="amount_cents")
    def asked(self, topup: TopUp) -> str:
        return money.dollars(topup.amount_cents) if topup.amount_cents is not None else "–"

    @admin.display(description="paid", ordering="paid_cents")
    def paid(self, topup: TopUp) -> str:
        return money.dollars(topup.paid_cents) if topup.paid_cents is not None else "–"


@admin.register(StripeEvent)
class StripeEventAdmin(ActingAdmin):
    list_display = ("id", "received_at", "type", "state", "tries", "stripe_session_id", "remark")
    list_filter = ("state", "type")
    search_fields = ("id__exact", "stripe_session_id__exact")
    search_help_text = "An event or a Checkout Session; whole."
    ordering = ("-received_at",)
    verbs = (
        Verb(
            "replay",
            "Handle it again",
            "wallet.replay_stripeevent",
            replay,
            applies=lambda event: event.state in webhooks.REPLAYABLE,
        ),
    )


class RateForm(forms.ModelForm):
    """A price; the feature must be one that the API can name."""

    def clean_feature(self) -> str:
        feature = str(self.cleaned_data["feature"])
        if not feature.isprintable():
            raise forms.ValidationError("Printable characters only.")
        return feature


@admin.register(Rate)
class RateAdmin(admin.ModelAdmin):
    """Prices are edited here; the verb keeps each setting. A price is withdrawn, never removed."""

    form = RateForm

    list_display = ("feature", "label", "credits", "unit", "active")
    list_filter = ("active",)
    search_fields = ("feature", "label")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Rate | None = None) -> tuple[str, ...]:
        return ("feature",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Rate, form: Any, change: bool) -> None:
        saved = rates.set_rate(
            feature=obj.feature,
            label=obj.label,
            credits=obj.credits,
            unit=obj.unit,
            active=obj.active,
            actor=actor_of(cast(User, request.user)),
        )
        obj.pk = saved.pk


@admin.register(RateChange)
class RateChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "feature", "credits", "unit", "active", "actor")
    list_filter = ("feature",)
    ordering = ("-created_at",)
