"""Who may do what in the back-office: support looks, billing acts, admin configures.

The roles are groups, made again after each migration just as they stand here: what a role may do is read in
this file, and nobody widens it by hand. How much a role may move is a setting (STAFF_CREDITS_A_DAY).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps

from accounts.models import User

SUPPORT = (
    *("accounts.view_user", "accounts.view_plan", "accounts.view_planchange", "accounts.view_act"),
    *("accounts.view_apikey", "accounts.view_servicekey", "accounts.view_outgoingmail", "auth.view_group"),
    *("wallet.view_wallet", "wallet.view_entry", "wallet.view_topup", "wallet.view_stripeevent"),
    *("wallet.view_rate", "wallet.view_ratechange", "wallet.view_audit", "wallet.view_closedday"),
    *("monetization.view_earner", "monetization.view_sponsor", "monetization.view_subscription"),
    *("monetization.view_subscriptionevent", "monetization.view_tip", "monetization.view_refund"),
    "monetization.view_erasure",
)
BILLING = (
    *SUPPORT,
    *("wallet.adjust_wallet", "wallet.give_back_entry", "wallet.settle_topup"),
    *("wallet.replay_stripeevent", "wallet.resolve_stripeevent"),
    *("accounts.assign_plan", "accounts.revoke_apikey", "accounts.export_lists"),
    *("monetization.refund_tip", "monetization.change_status", "monetization.cancel_sponsor"),
    "monetization.set_rule",
)
ADMIN = (
    *BILLING,
    *("wallet.add_rate", "wallet.change_rate", "accounts.add_plan", "accounts.change_plan"),
    *("accounts.add_servicekey", "accounts.revoke_servicekey", "accounts.grant_access"),
    "monetization.erase_reader",
)
ROLES = {"support": SUPPORT, "billing": BILLING, "admin": ADMIN}
NAMES = tuple(ROLES)


def roles_of(staff: User) -> list[str]:
    """The names of somebody's roles, in the order of the alphabet."""
    return sorted(staff.groups.values_list("name", flat=True))


def allowance(staff: User, table: Mapping[str, int]) -> int | None:
    """How much somebody may do by a table of limits by role: the largest of their roles.

    None, which is no limit by role, for a superuser; 0 where the table names none of their roles.
    """
    if staff.is_superuser:
        return None
    return max((table.get(role, 0) for role in roles_of(staff)), default=0)


def make_roles(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Make the roles, or bring them back to what stands here; members stay."""
    if "group" not in apps.all_models["auth"]:
        return  # Migrated back to nothing.
    groups = apps.get_model("auth", "Group").objects.using(using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    labelled = permissions.values_list("content_type__app_label", "codename", "pk")
    known = {f"{app}.{codename}": pk for app, codename, pk in labelled}
    for name, wanted in ROLES.items():
        group, _ = groups.get_or_create(name=name)
        group.permissions.set(_keys(wanted, known))


def _keys(wanted: Iterable[str], known: dict[str, int]) -> list[int]:
    """Those there are: while an app is migrated back to nothing, its permissions are not."""
    return [known[name] for name in wanted if name in known]
