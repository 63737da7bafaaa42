"""Users, plans and keys in the back-office."""

from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from accounts import by_hand, plans
from accounts.acting import ActingAdmin
from accounts.acts import actor_of
from accounts.models import ApiKey, OutgoingMail, Plan, PlanChange, ServiceKey, User
from misar_billing.admin import ReadOnlyAdmin

# allauth brings pages that would edit identities and secrets by hand.
for model in (EmailAddress, SocialAccount, SocialApp, SocialToken, Authenticator):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(ServiceKey)
class ServiceKeyAdmin(ActingAdmin):
    list_display = (
        "prefix",
        "product",
        "feature_prefixes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("product",)
    search_fields = ("product", "prefix")
    exclude = ("digest",)
    verbs = by_hand.OF_SERVICE_KEY
    addition = by_hand.NEW_SERVICE_KEY


@admin.register(ApiKey)
class ApiKeyAdmin(ActingAdmin):
    list_display = (
        "prefix",
        "name",
        "owner_id",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    search_fields = ("owner__misar_id__exact", "prefix__exact")
    search_help_text = "A Misar ID, or the twelve characters of a key that are shown."
    exclude = ("digest",)
    verbs = by_hand.OF_API_KEY


@admin.register(User)
class UserAdmin(ActingAdmin):
    list_display = ("misar_id", "name", "email", "plan", "is_staff", "is_active", "created_at")
    list_filter = ("plan", "is_staff", "is_active")
    list_select_related = ("plan",)
    search_fields = ("misar_id__exact", "email__iexact")
    search_help_text = "A Misar ID or an e-mail address, whole."
    fields = (
        "misar_id",
        "name",
        "email",
        "plan",
        "is_active",
        "is_staff",
        "groups",
        "created_at",
        "last_login",
    )
    verbs = by_hand.OF_USER


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    """Plans are edited here; the verb keeps each setting. A plan is never removed: users may be on it."""

    list_display = ("slug", "name", "fee_bps", "key_limit")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        plans.set_plan(
            slug=obj.slug,
            name=obj.name,
            fee_bps=obj.fee_bps,
            key_limit=obj.key_limit,
            actor=actor_of(cast(User, request.user)),
        )


@admin.register(PlanChange)
class PlanChangeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "slug", "fee_bps", "key_limit", "actor")
    list_filter = ("slug",)
    ordering = ("-created_at",)


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    """Which mails went out, and which could not: never to whom, nor what they say."""

    list_display = ("created_at", "kind", "state", "tries", "next_try_at", "sent_at", "last_error")
    list_filter = ("kind", "state")
    search_fields = ("fact__exact", "user__misar_id__exact")
    search_help_text = "A Misar ID, or what a mail is about, such as receipt:top_…"
    exclude = ("to", "subject", "text", "html")
    ordering = ("-created_at",)
