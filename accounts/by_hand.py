"""What staff may do to users, plans and keys, each with a form, a reason and a permission."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts import access, api_keys, keys, plans, second_factor
from accounts.acting import Addition, Made, ReasonForm, Verb
from accounts.models import ApiKey, Plan, ServiceKey, User


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


def revoke_api_key(key: ApiKey, asked: dict[str, Any], staff: User) -> str:
    """Shut a creator's key out at once."""
    api_keys.revoke(owner=key.owner, key_id=key.pk)
    return f"Revoked {key}."


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


# --- On which rows ------------------------------------------------------------------------------------

OF_SERVICE_KEY = (
    Verb(
        "revoke",
        "Revoke this key",
        "accounts.revoke_servicekey",
        revoke,
        applies=lambda key: key.revoked_at is None,
    ),
)
NEW_SERVICE_KEY = Addition("Add a service key", "accounts.add_servicekey", issue, ServiceKeyForm)
OF_API_KEY = (
    Verb(
        "revoke",
        "Revoke this key",
        "accounts.revoke_apikey",
        revoke_api_key,
        applies=lambda key: key.revoked_at is None,
    ),
)
OF_USER = (
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
