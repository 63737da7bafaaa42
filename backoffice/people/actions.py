"""What staff may do to users, plans and keys, each with a form, a reason and a permission."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts import api_keys, plans, service_keys
from accounts.actors import actor_of
from accounts.models import ApiKey, Plan, ServiceKey, User
from backoffice import roles
from backoffice.actions.forms import Facts, ReasonForm, SettingForm, told_from_to
from backoffice.actions.staff_action import Addition, Made, StaffAction
from backoffice.errors import NothingToChange
from backoffice.people import access

# What PostgreSQL keeps in an integer.
POSITIVE_INTEGER_MAX = 2_147_483_647

# --- Keys ---------------------------------------------------------------------------------------------


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
        required=False,
        # One label stands before two fields.
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": "Expires at, day"},
            time_attrs={"type": "time", "aria-label": "Expires at, time"},
        ),
        help_text="In UTC; empty for never.",
    )
    field_order = ("product", "feature_prefixes", "expires_at", "reason")

    def clean_feature_prefixes(self) -> list[str]:
        return self.cleaned_data["feature_prefixes"].split()

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("That is in the past.")
        return expires_at


def issue(asked: dict[str, Any], staff: User) -> Made:
    """Make a service key."""
    key, secret = service_keys.issue_service_key(
        product=asked["product"],
        feature_prefixes=asked["feature_prefixes"],
        expires_at=asked["expires_at"],
    )
    return Made(key, f"Issued {key}.", secret)


class KeyForm(ReasonForm):
    """Why, beneath which key it is."""

    def facts(self) -> Facts:
        """What the page says of a key."""
        whose = self.row.owner_id if isinstance(self.row, ApiKey) else self.row.product
        used = self.row.last_used_at
        return [
            ("Key", f"{self.row.prefix}…"),
            ("Of", whose),
            ("Last used", f"{used:%-d %B %Y, %H:%M} UTC" if used else "never"),
        ]


def revoke(key: ServiceKey, asked: dict[str, Any], staff: User) -> str:
    """Shut a key out at once."""
    _require_standing(ServiceKey.objects.select_for_update().get(pk=key.pk))
    service_keys.revoke_service_key(key)
    return f"Revoked {key}."


def revoke_api_key(key: ApiKey, asked: dict[str, Any], staff: User) -> str:
    """Shut a creator's key out at once."""
    _require_standing(ApiKey.objects.select_for_update().get(pk=key.pk))
    api_keys.revoke(owner=key.owner, key_id=key.pk)
    return f"Revoked the key {key.prefix}…."  # Its name is its owner's own word.


def _require_standing(key: ServiceKey | ApiKey) -> None:
    if key.revoked_at:
        raise NothingToChange("This key was revoked before: it opens nothing")


# --- Plans --------------------------------------------------------------------------------------------


class PlanForm(SettingForm):
    """What a plan costs a creator, and how many keys it holds."""

    name = forms.CharField(max_length=80)
    fee_bps = forms.IntegerField(
        min_value=0,
        max_value=10_000,
        label="Platform fee",
        help_text="In basis points of the gross amount: 500 is 5 %. Tips recorded before keep theirs.",
    )
    key_limit = forms.IntegerField(
        min_value=0,
        max_value=POSITIVE_INTEGER_MAX,
        required=False,
        label="API keys",
        help_text="Active keys at once; empty for no limit.",
    )
    setting = ("name", "fee_bps", "key_limit")
    field_order: tuple[str, ...] = ("name", "fee_bps", "key_limit", "reason")


class NewPlanForm(PlanForm):
    """A plan that is not there yet."""

    slug = forms.SlugField(max_length=40, help_text="Its name in the books, for good: pro, max.")
    field_order = ("slug", *PlanForm.field_order)


def change_plan(plan: Plan, asked: dict[str, Any], staff: User) -> str:
    """Set what a plan costs from now on."""
    before = plans.locked(plan.pk)
    PlanForm.require_as_shown(before, asked)
    told = told_from_to(before.name, _plan_in_words(**PlanForm.shown(before)), _plan_in_words(**_plan(asked)))
    plans.set_plan(slug=plan.pk, actor=actor_of(staff), **_plan(asked))
    return told


def add_plan(asked: dict[str, Any], staff: User) -> Made:
    """Make a plan."""
    plan = plans.add_plan(slug=asked["slug"], actor=actor_of(staff), **_plan(asked))
    words = _plan_in_words(**_plan(asked))
    return Made(plan, f"Made {plan.name}: fee {words['fee']}, API keys {words['API keys']}.")


def _plan(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: asked[name] for name in PlanForm.setting}


def _plan_in_words(*, name: str, fee_bps: int, key_limit: int | None) -> dict[str, str]:
    percent, hundredths = divmod(fee_bps, 100)
    return {
        "name": name,
        "fee": f"{percent}.{hundredths:02d}%",
        "API keys": "any number" if key_limit is None else str(key_limit),
    }


class PlanChoice(ReasonForm):
    """Which plan, and why."""

    plan = forms.ModelChoiceField(Plan.objects.all())
    field_order = ("plan", "reason")

    def facts(self) -> Facts:
        """What the page says of the user."""
        plan = self.row.plan
        return [("Plan", plan.name), ("Fee", _plan_in_words(**PlanForm.shown(plan))["fee"])]


def assign_plan(user: User, asked: dict[str, Any], staff: User) -> str:
    """Put a user on another plan."""
    before, after = User.objects.select_for_update().get(pk=user.pk).plan, asked["plan"]
    if before == after:
        raise NothingToChange
    plans.assign(user=user, plan=after)
    was, now = (_plan_in_words(**PlanForm.shown(plan)) for plan in (before, after))
    return f"Moved from {was['name']} (fee {was['fee']}) to {now['name']} (fee {now['fee']})."


class AccessForm(SettingForm):
    """What somebody may do in the back-office, and why."""

    is_active = forms.BooleanField(required=False, label="May sign in")
    is_staff = forms.BooleanField(required=False, label="May enter the back-office")
    groups = forms.ModelMultipleChoiceField(
        Group.objects.filter(name__in=roles.NAMES).order_by("pk"),
        required=False,
        label="Roles",
        widget=forms.CheckboxSelectMultiple,
        help_text="Support looks, billing acts, admin configures.",
    )
    setting = ("is_active", "is_staff")
    field_order = ("is_active", "is_staff", "groups", "reason")

    @classmethod
    def shown(cls, row: User) -> dict[str, Any]:
        """The same with the keys of the groups they are in."""
        return {**super().shown(row), "groups": sorted(row.groups.values_list("pk", flat=True))}


def set_access(user: User, asked: dict[str, Any], staff: User) -> str:
    """Open or shut the back-office for somebody."""
    before = User.objects.select_for_update().get(pk=user.pk)
    AccessForm.require_as_shown(before, asked)
    was = _access_in_words(before)
    access.set_access(
        user=before,
        is_active=asked["is_active"],
        is_staff=asked["is_staff"],
        groups=asked["groups"],
        by=staff,
    )
    return told_from_to(user.pk, was, _access_in_words(User.objects.get(pk=user.pk)))


def _access_in_words(user: User) -> dict[str, str]:
    return {
        "may sign in": "yes" if user.is_active else "no",
        "back-office": "open" if user.is_staff else "shut",
        "roles": " and ".join(roles.roles_of(user)) or "none",
    }


def reset_second_factor(user: User, asked: dict[str, Any], staff: User) -> str:
    """Let somebody who lost their phone set up another one."""
    there_was_one = access.reset_second_factor(user=user, by=staff)
    return "The second factor is reset." if there_was_one else "There was no second factor to reset."


# --- On which rows ------------------------------------------------------------------------------------


def _revoking(permission: str, run: Callable[[Any, dict[str, Any], User], str]) -> StaffAction:
    return StaffAction(
        "revoke",
        "Revoke this key",
        permission,
        run,
        KeyForm,
        applies=lambda key: key.revoked_at is None,
        warning="Whoever uses this key is shut out from the next request on. A key cannot be brought back.",
    )


OF_SERVICE_KEY = (_revoking("accounts.revoke_servicekey", revoke),)
NEW_SERVICE_KEY = Addition(
    "Add a service key", "accounts.add_servicekey", issue, ServiceKeyForm, has_secret=True
)
OF_API_KEY = (_revoking("accounts.revoke_apikey", revoke_api_key),)
OF_PLAN = (StaffAction("set", "Change this plan", "accounts.change_plan", change_plan, PlanForm),)
NEW_PLAN = Addition("Add a plan", "accounts.add_plan", add_plan, NewPlanForm)
OF_USER = (
    StaffAction("plan", "Change the plan", "accounts.assign_plan", assign_plan, PlanChoice),
    StaffAction("access", "Change the access", "accounts.grant_access", set_access, AccessForm),
    StaffAction(
        "second-factor",
        "Reset the second factor",
        "accounts.grant_access",
        reset_second_factor,
        applies=lambda user: user.is_staff,
        warning="Be sure whom you speak to: until they set up another one, one proof alone lets them in.",
    ),
)
