"""Users, plans and keys in the back-office."""

from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from accounts import access, api_keys, keys, plans, second_factor
from accounts.acting import ActingAdmin, Addition, Made, ReasonForm, Verb
from accounts.acts import actor_of
from accounts.models import ApiKey, OutgoingMail, Plan, PlanChange, ServiceKey, User
from misar_billing.admin import ReadOnlyAdmin

# allauth brings pages that would edit identities and secrets by hand.
for model in (EmailAddress, SocialAccount, SocialApp, SocialToken, Authenticator):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ServiceKeyForm(ReasonForm):
    """What a new service key may do, and for how long."""

    product = forms.SlugField(max_length=40, help_text="The product that charges: blog, mail, reach.")
    feature_prefixes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, such as blog. with its dot: only features that begin so may be charged. "
        "Empty for every feature.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False, widget=AdminSplitDateTime, help_text="In UTC; empty for never."
    )
    field_order = ("product", "feature_prefixes", "expires_at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One label stands before two fields.
        day, time = self.fields["expires_at"].widget.widgets
        day.attrs["aria-label"], time.attrs["aria-label"] = "Expires at, day", "Expires at, time"

    def clean_feature_prefixes(self) -> list[str]:
        return self.cleaned_data["feature_prefixes"].split()

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("That is in the past.")
        return expires_at


def issue(asked: dict[str, Any], staff: User) -> Made:
    """Make a service key."""
    key, secret = keys.issue_service_key(
        product=asked["product"],
        feature_prefixes=asked["feature_prefixes"],
        expires_at=asked["expires_at"],
    )
    return Made(key, f"Issued {key}.", secret)


def revoke(key: ServiceKey, asked: dict[str, Any], staff: User) -> str:
    """Shut a key out at once."""
    keys.revoke_service_key(key)
    return f"Revoked {key}."


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
    verbs = (
        Verb(
            "revoke",
            "Revoke this key",
            "accounts.revoke_servicekey",
            revoke,
            applies=lambda key: key.revoked_at is None,
        ),
    )
    addition = Addition("Add a service key", "accounts.add_servicekey", issue, ServiceKeyForm)


def revoke_api_key(key: ApiKey, asked: dict[str, Any], staff: User) -> str:
    """Shut a creator's key out at once."""
    api_keys.revoke(owner=key.owner, key_id=key.pk)
    return f"Revoked {key}."


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
    verbs = (
        Verb(
            "revoke",
            "Revoke this key",
            "accounts.revoke_apikey",
            revoke_api_key,
            applies=lambda key: key.revoked_at is None,
        ),
    )


class PlanChoice(ReasonForm):
    """Which plan, and why."""

    plan = forms.ModelChoiceField(Plan.objects.all())
    field_order = ("plan", "reason")


def assign_plan(user: User, asked: dict[str, Any], staff: User) -> str:
    """Put a user on another plan."""
    before = user.plan_id
    plans.assign(user=user, plan=asked["plan"])
    return f"Moved from {before} to {asked['plan'].pk}."


class AccessForm(ReasonForm):
    """What somebody may do in the back-office, and why."""

    is_active = forms.BooleanField(required=False, label="May sign in")
    is_staff = forms.BooleanField(required=False, label="May enter the back-office")
    groups = forms.ModelMultipleChoiceField(Group.objects.all(), required=False)
    field_order = ("is_active", "is_staff", "groups", "reason")


def set_access(user: User, asked: dict[str, Any], staff: User) -> str:
    """Open or shut the back-office for somebody."""
    access.set_access(
        user=user, is_active=asked["is_active"], is_staff=asked["is_staff"], groups=asked["groups"]
    )
    groups = ", ".join(sorted(group.name for group in asked["groups"])) or "none"
    return f"May sign in: {asked['is_active']}. Back-office: {asked['is_staff']}. Groups: {groups}."


def reset_second_factor(user: User, asked: dict[str, Any], staff: User) -> str:
    """Let somebody who lost their phone set up another one."""
    there_was_one = second_factor.reset(user)
    return "The second factor is reset." if there_was_one else "There was no second factor to reset."


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
    verbs = (
        Verb("plan", "Change the plan", "accounts.assign_plan", assign_plan, PlanChoice),
        Verb("access", "Change the access", "accounts.grant_access", set_access, AccessForm),
        Verb(
            "second-factor",
            "Reset the second factor",
            "accounts.grant_access",
            reset_second_factor,
            applies=lambda user: user.is_staff,
        ),
    )


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
