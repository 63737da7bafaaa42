"""What staff may do to users, plans and keys."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts import api_keys, plans, service_keys
from accounts.actors import actor_of
from accounts.models import DEFAULT_RIGHTS, ApiKey, Plan, Right, ServiceKey, User
from backoffice import roles
from backoffice.actions import changes
from backoffice.actions.acts import Done
from backoffice.actions.forms import Preview, PreviewedForm, ReasonForm, SettingForm, summary_of_changes
from backoffice.actions.staff_action import Facts, StaffAction
from backoffice.errors import NothingToChange, OutdatedPreview
from backoffice.people import access
from foundation import money
from foundation.validators import validate_id, validate_line
from foundation.words import moment

# The largest value of PostgreSQL's type `integer`.
POSITIVE_INTEGER_MAX = 2_147_483_647
FROM_NOW_ON = "From the next tip on. Earlier tips keep their fee."

# --- Keys ---------------------------------------------------------------------------------------------

# The limits of a service key with the right to grant.
CAPS = ("grant_max", "grant_month_max")
# What a service key may do with each right, for the forms.
RIGHTS_IN_WORDS = {
    Right.READ: "Read: see every user's balance and transactions.",
    Right.CHARGE: "Charge: take credits for features, and set credits aside for them.",
    Right.REFUND: "Refund: give users back what this product charged.",
    Right.TOPUP: "Top up: open checkouts in which users buy credits.",
    Right.GRANT: "Grant: give users credits with an end, within the two limits below.",
}


class RightsField(forms.MultipleChoiceField):
    """A checkbox for each right of a service key."""

    def __init__(self) -> None:
        super().__init__(
            choices=[(right.value, RIGHTS_IN_WORDS[right]) for right in Right],
            widget=forms.CheckboxSelectMultiple,
            help_text="What the key may do. Choose at least one right.",
            error_messages={"required": "Choose at least one right."},
        )


class CapsForm(ReasonForm):
    """The base of the forms with the rights of a service key. A key that may grant needs both caps."""

    grant_max = forms.IntegerField(
        min_value=1,
        max_value=service_keys.GRANT_MAX,
        required=False,
        label="Credits of one grant, at most",
        help_text="Only for a key that may grant.",
    )
    grant_month_max = forms.IntegerField(
        min_value=1,
        max_value=service_keys.GRANT_MONTH_MAX,
        required=False,
        label="Credits granted in a month, at most",
        help_text="Only for a key that may grant. All grants of the product count, in the UTC month.",
    )

    def clean(self) -> dict[str, Any]:
        form_data = super().clean() or self.cleaned_data
        if Right.GRANT not in form_data.get("rights", ()):
            return form_data | dict.fromkeys(CAPS)
        for name in CAPS:
            if form_data.get(name) is None and name not in self.errors:
                self.add_error(name, "A key that may grant needs this limit.")
        return form_data


class ServiceKeyForm(CapsForm):
    """What a new service key may do and charge, and until when."""

    product = forms.SlugField(max_length=40, help_text="The product that charges: blog, mail, reach.")
    feature_prefixes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One per line, such as “blog.” with the dot. The key can only charge features that start "
        "with one of them. Leave empty for every feature.",
    )
    rights = RightsField()
    expires_at = forms.SplitDateTimeField(
        required=False,
        # The field has two inputs but one label, so each input gets a label of its own.
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": "Expires at, day"},
            time_attrs={"type": "time", "aria-label": "Expires at, time"},
        ),
        help_text="In UTC; leave empty for never.",
    )
    field_order = ("product", "rights", *CAPS, "feature_prefixes", "expires_at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {"rights": list(DEFAULT_RIGHTS), **self.initial}

    def clean_feature_prefixes(self) -> list[str]:
        prefixes: list[str] = self.cleaned_data["feature_prefixes"].split()
        for prefix in prefixes:
            validate_id(prefix)
        return prefixes

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("Enter a time in the future.")
        return expires_at


def issue(row: None, form_data: dict[str, Any], staff: User) -> Done:
    """Issue a service key."""
    key, secret = service_keys.issue_service_key(
        product=form_data["product"],
        feature_prefixes=form_data["feature_prefixes"],
        rights=form_data["rights"],
        **{name: form_data[name] for name in CAPS},
        expires_at=form_data["expires_at"],
    )
    caps = "; ".join(f"{label} {words}" for label, words in caps_in_words(key).items() if words)
    summary = f"Issued {key} with the rights to {Right.in_words(key.rights)}{caps and f'; {caps}'}."
    return Done(key, summary, secret=secret)


class RightsForm(SettingForm, CapsForm):
    """What a service key may do."""

    rights = RightsField()
    setting = ("rights", *CAPS)
    field_order = ("rights", *CAPS, "reason")


def set_rights(key: ServiceKey, form_data: dict[str, Any], staff: User) -> str:
    """Change what a service key may do, from its next request on."""
    before = ServiceKey.objects.select_for_update().get(pk=key.pk)
    _require_standing(before)
    RightsForm.require_as_shown(before, form_data)
    old, values = _key_in_words(before), RightsForm.values(form_data)
    service_keys.set_rights(before, **values)
    return summary_of_changes(str(before), old, _key_in_words(ServiceKey.objects.get(pk=key.pk)))


def _key_in_words(key: ServiceKey) -> dict[str, str]:
    return {"rights": Right.in_words(key.rights), **caps_in_words(key)}


def caps_in_words(key: ServiceKey) -> dict[str, str]:
    """Return how much a key may grant, by the label of each cap; "" for a key that may not grant."""
    caps = {"most in one grant": key.grant_max, "most granted in a month": key.grant_month_max}
    return {label: "" if cap is None else money.credits(cap) for label, cap in caps.items()}


def stop_product(key: ServiceKey, form_data: dict[str, Any], staff: User) -> str:
    """Stop the product of a service key at once, for all its keys."""
    if not service_keys.stop_product(key.product):
        raise NothingToChange("This product is already stopped")
    return f"Stopped the product {key.product}."


def let_product_go_on(key: ServiceKey, form_data: dict[str, Any], staff: User) -> str:
    """Let the stopped product of a service key charge again."""
    if not service_keys.let_product_go_on(key.product):
        raise NothingToChange("This product is not stopped")
    return f"Let the product {key.product} go on."


def _product_facts(key: ServiceKey) -> Facts:
    keys = ServiceKey.objects.usable(timezone.now()).filter(product=key.product).count()
    stopped_at = key.product_stopped_at
    return [
        ("Product", key.product),
        ("Usable keys", str(keys)),
        ("Stopped", f"{moment(stopped_at)} UTC" if stopped_at else ""),
    ]


def _key_facts(key: ServiceKey | ApiKey) -> Facts:
    used = key.last_used_at
    return [
        ("Key", f"{key.prefix}…"),
        ("Of", key.owner_id if isinstance(key, ApiKey) else key.product),
        ("Last used", f"{moment(used)} UTC" if used else "never"),
    ]


def revoke(key: ServiceKey, form_data: dict[str, Any], staff: User) -> str:
    """Revoke a service key at once."""
    _require_standing(ServiceKey.objects.select_for_update().get(pk=key.pk))
    service_keys.revoke_service_key(key)
    return f"Revoked {key}."


def revoke_api_key(key: ApiKey, form_data: dict[str, Any], staff: User) -> str:
    """Revoke a creator's API key at once."""
    _require_standing(ApiKey.objects.select_for_update().get(pk=key.pk))
    api_keys.revoke(owner=key.owner, key_id=key.pk)
    return f"Revoked the key {key.prefix}…."  # Not the key's name: the owner chose it freely.


def _require_standing(key: ServiceKey | ApiKey) -> None:
    if key.revoked_at:
        raise NothingToChange("This key is already revoked")


# --- Plans --------------------------------------------------------------------------------------------


class PlanForm(SettingForm):
    """The fee of a plan, and how many API keys it allows."""

    name = forms.CharField(max_length=80, validators=[validate_line])
    fee_bps = forms.IntegerField(
        min_value=0,
        max_value=10_000,
        label="Platform fee",
        help_text="In basis points of the gross amount: 500 is 5%. Earlier tips keep their fee.",
    )
    key_limit = forms.IntegerField(
        min_value=0,
        max_value=POSITIVE_INTEGER_MAX,
        required=False,
        label="API keys",
        help_text="Active keys at the same time; leave empty for no limit.",
    )
    setting = ("name", "fee_bps", "key_limit")
    field_order: tuple[str, ...] = ("name", "fee_bps", "key_limit", "reason")


class NewPlanForm(PlanForm):
    """A new plan."""

    slug = forms.SlugField(
        max_length=40, help_text="A short name, such as pro or max. It can't be changed later."
    )
    field_order = ("slug", *PlanForm.field_order)


def change_plan(plan: Plan, form_data: dict[str, Any], staff: User) -> str:
    """Change a plan's name, fee or key limit. Earlier tips keep their fee."""
    before, values = plans.locked(plan.pk), PlanForm.values(form_data)
    PlanForm.require_as_shown(before, form_data)
    words_before = _plan_in_words(before)
    summary = summary_of_changes(before.name, words_before, _words_of(**values))
    plans.set_plan(slug=plan.pk, actor=actor_of(staff), **values)
    return summary


def add_plan(row: None, form_data: dict[str, Any], staff: User) -> Done:
    """Add a plan."""
    values = PlanForm.values(form_data)
    plan = plans.add_plan(slug=form_data["slug"], actor=actor_of(staff), **values)
    words = _words_of(**values)
    return Done(plan, f"Made {plan.name}: fee {words['fee']}, API keys {words['API keys']}.")


def _plan_in_words(plan: Plan) -> dict[str, str]:
    return _words_of(**PlanForm.shown(plan))


def _words_of(*, name: str, fee_bps: int, key_limit: int | None) -> dict[str, str]:
    return {
        "name": name,
        "fee": _fee_in_words(fee_bps),
        "API keys": "any number" if key_limit is None else str(key_limit),
    }


def _fee_in_words(fee_bps: int) -> str:
    return f"{fee_bps // 100}.{fee_bps % 100:02d}%"


class PlanChoice(PreviewedForm):
    """The plan that a user moves to."""

    plan = forms.ModelChoiceField(Plan.objects.all())
    field_order = ("plan", "reason")


def _plan_facts(user: User) -> Facts:
    return [("Plan", user.plan.name), ("Fee", _fee_in_words(user.plan.fee_bps))]


def assign_plan(user: User, form_data: dict[str, Any], staff: User) -> str:
    """Move a user to another plan."""
    before, after = User.objects.select_for_update().get(pk=user.pk).plan, form_data["plan"]
    if before == after:
        raise NothingToChange
    if form_data["seen"] and after.fee_bps != form_data["basis"]:
        raise OutdatedPreview("The fee of this plan was changed since you saw what would change")
    plans.assign(user=user, plan=after)
    return f"Moved from {_name_and_fee(before)} to {_name_and_fee(after)}."


def preview_plan(user: User, form_data: dict[str, Any], staff: User) -> Preview:
    """Return which plan takes the place of which, with their fees. Raises what `assign_plan` raises."""
    show = changes.of(
        assign_plan,
        lambda user: {"plan": _name_and_fee(user.plan)},
        about=lambda user: user.pk,
        note=FROM_NOW_ON,
    )
    return replace(show(user, form_data, staff), basis=form_data["plan"].fee_bps)


def _name_and_fee(plan: Plan) -> str:
    return f"{plan.name} (fee {_fee_in_words(plan.fee_bps)})"


class RolesField(forms.ModelMultipleChoiceField):
    """A checkbox for each role."""

    def label_from_instance(self, obj: Group) -> str:
        return obj.name.capitalize()


class AccessForm(SettingForm):
    """Whether a user may sign in and enter the back-office, and with which roles."""

    is_active = forms.BooleanField(required=False, label="May sign in")
    is_staff = forms.BooleanField(required=False, label="May enter the back-office")
    groups = RolesField(
        Group.objects.filter(name__in=roles.NAMES).order_by("pk"),
        required=False,
        label="Roles",
        widget=forms.CheckboxSelectMultiple,
        help_text="Support may view, billing may also act, and admin may also change settings.",
    )
    setting = ("is_active", "is_staff")
    field_order = ("is_active", "is_staff", "groups", "reason")

    @classmethod
    def shown(cls, row: User) -> dict[str, Any]:
        """The current values of the form's fields, with the primary keys of the user's groups."""
        return {**super().shown(row), "groups": sorted(row.groups.values_list("pk", flat=True))}


def set_access(user: User, form_data: dict[str, Any], staff: User) -> str:
    """Change a user's access to the back-office."""
    before = User.objects.select_for_update().get(pk=user.pk)
    AccessForm.require_as_shown(before, form_data)
    words_before = _access_in_words(before)
    access.set_access(
        user=before,
        is_active=form_data["is_active"],
        is_staff=form_data["is_staff"],
        groups=form_data["groups"],
        by=staff,
    )
    return summary_of_changes(user.pk, words_before, _access_in_words(User.objects.get(pk=user.pk)))


def _access_in_words(user: User) -> dict[str, str]:
    return {
        "may sign in": "yes" if user.is_active else "no",
        "back-office": "open" if user.is_staff else "shut",
        "roles": " and ".join(roles.roles_of(user)) or "none",
    }


def reset_second_factor(user: User, form_data: dict[str, Any], staff: User) -> str:
    """Remove the second factor of a staff member, who can then set up another one."""
    was_reset = access.reset_second_factor(user=user, by=staff)
    return "The second factor is reset." if was_reset else "There was no second factor to reset."


# --- The actions of each list -------------------------------------------------------------------------


def _revoking(permission: str, run: Callable[[Any, dict[str, Any], User], str]) -> StaffAction:
    return StaffAction(
        "revoke",
        "Revoke this key",
        permission,
        run,
        applies=lambda key: key.revoked_at is None,
        facts=_key_facts,
        warning="Requests with this key fail from now on. You can't reactivate a revoked key.",
    )


OF_SERVICE_KEY = (
    StaffAction(
        "rights",
        "Change rights",
        "accounts.set_servicekey_rights",
        set_rights,
        RightsForm,
        applies=lambda key: key.revoked_at is None,
        preview=changes.of(set_rights, _key_in_words, note="From the next request of the key on."),
        warning="Requests that need a right which you take away fail from now on.",
    ),
    _revoking("accounts.revoke_servicekey", revoke),
    StaffAction(
        "stop",
        "Stop this product",
        "accounts.stop_product",
        stop_product,
        applies=lambda key: key.product_stopped_at is None,
        facts=_product_facts,
        warning="From now on, no key of this product may charge a feature. This includes keys that you add "
        "later. Captures of open holds, refunds and top-ups go on.",
    ),
    StaffAction(
        "go-on",
        "Let this product go on",
        "accounts.stop_product",
        let_product_go_on,
        applies=lambda key: key.product_stopped_at is not None,
        facts=_product_facts,
        warning="From now on the keys of this product may charge again.",
    ),
)
NEW_SERVICE_KEY = StaffAction(
    "add", "Add a service key", "accounts.add_servicekey", issue, ServiceKeyForm, has_secret=True
)
OF_API_KEY = (_revoking("accounts.revoke_apikey", revoke_api_key),)
OF_PLAN = (
    StaffAction(
        "set",
        "Change this plan",
        "accounts.change_plan",
        change_plan,
        PlanForm,
        preview=changes.of(change_plan, _plan_in_words, note=FROM_NOW_ON),
    ),
)
NEW_PLAN = StaffAction(
    "add",
    "Add a plan",
    "accounts.add_plan",
    add_plan,
    NewPlanForm,
    preview=changes.of(add_plan, _plan_in_words),
)
OF_USER = (
    StaffAction(
        "plan",
        "Change plan",
        "accounts.assign_plan",
        assign_plan,
        PlanChoice,
        facts=_plan_facts,
        preview=preview_plan,
    ),
    StaffAction(
        "access",
        "Change access",
        "accounts.grant_access",
        set_access,
        AccessForm,
        preview=changes.of(
            set_access,
            _access_in_words,
            about=lambda user: user.pk,
            note="From the user's next request on.",
        ),
    ),
    StaffAction(
        "second-factor",
        "Reset the second factor",
        "accounts.grant_access",
        reset_second_factor,
        applies=lambda user: user.is_staff,
        warning="Make sure that you know who asks for this. Until a new second factor is set up, a password "
        "alone is enough to sign in.",
    ),
)
