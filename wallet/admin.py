"""The wallet in the back-office: everything can be seen, and balances move only with a reason."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.acting import ActingAdmin
from accounts.acts import actor_of
from accounts.misar_ids import is_misar_id
from accounts.models import User
from misar_billing import money
from misar_billing.admin import ReadOnlyAdmin
from wallet import by_hand, ledger, rates
from wallet.models import Entry, Rate, RateChange, StripeEvent, TopUp, Wallet


@admin.register(Wallet)
class WalletAdmin(ActingAdmin):
    list_display = ("user_id", "balance", "entries_count", "created_at")
    search_fields = ("user_id__exact",)
    search_help_text = "A Misar ID, whole."
    ordering = ("user_id",)
    verbs = by_hand.OF_WALLET
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
    verbs = by_hand.OF_ENTRY

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
    verbs = by_hand.OF_STRIPE_EVENT


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
