"""The roles of staff: support may view and write notes, billing may act, and admin may also change settings.

The roles are groups. Each run of `migrate` sets their permissions to what this file says, so a change by hand
does not last. Settings such as STAFF_CREDITS_A_DAY say how much a role may move.
"""

from collections.abc import Mapping
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps

from accounts.models import User

SUPPORT = (
    *("accounts.view_user", "accounts.view_plan", "accounts.view_planchange", "accounts.view_act"),
    *("accounts.view_apikey", "accounts.view_servicekey", "accounts.view_outgoingmail", "auth.view_group"),
    *("wallet.view_wallet", "wallet.view_entry", "wallet.view_hold", "wallet.view_lot", "wallet.view_budget"),
    *("wallet.view_topup", "wallet.view_stripeevent"),
    *("wallet.view_striperefund", "wallet.view_stripedispute", "wallet.view_refundrequest"),
    *("wallet.view_rate", "wallet.view_ratechange", "wallet.view_audit", "wallet.view_closedday"),
    *("monetization.view_earner", "monetization.view_sponsor", "monetization.view_subscription"),
    *("monetization.view_subscriptionevent", "monetization.view_tip", "monetization.view_refund"),
    *("monetization.view_erasure", "accounts.note_user"),
)
BILLING = (
    *SUPPORT,
    *("wallet.adjust_wallet", "wallet.give_back_entry", "wallet.settle_topup", "wallet.refund_topup"),
    *("wallet.freeze_wallet", "wallet.void_hold"),
    *("wallet.grant_lot", "wallet.void_lot", "wallet.remove_budget"),
    *("wallet.replay_stripeevent", "wallet.resolve_stripeevent"),
    *("accounts.assign_plan", "accounts.revoke_apikey", "accounts.export_lists"),
    "accounts.stop_product",
    "wallet.view_closedmonth",
    *("monetization.refund_tip", "monetization.change_status", "monetization.cancel_sponsor"),
    "monetization.set_rule",
)
ADMIN = (
    *BILLING,
    *("wallet.add_rate", "wallet.change_rate", "accounts.add_plan", "accounts.change_plan"),
    *("accounts.add_servicekey", "accounts.revoke_servicekey", "accounts.set_servicekey_rights"),
    "accounts.grant_access",
    "monetization.erase_reader",
)
ROLES = {"support": SUPPORT, "billing": BILLING, "admin": ADMIN}
NAMES = tuple(ROLES)


def roles_of(staff: User) -> list[str]:
    """The names of a staff member's roles, sorted."""
    return sorted(staff.groups.values_list("name", flat=True))


def allowance(staff: User, table: Mapping[str, int]) -> int | None:
    """The largest limit that a staff member has through their roles; `table` gives the limit of each role.

    It is 0 if the table has none of their roles. A superuser has no limit, so the answer is None.
    """
    if staff.is_superuser:
        return None
    return max((table.get(role, 0) for role in roles_of(staff)), default=0)


def make_roles(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Create the roles and set their permissions. The members of a role stay in it."""
    if "group" not in apps.all_models["auth"]:
        return  # The migrations of auth were undone.
    groups = apps.get_model("auth", "Group").objects.using(using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    labelled = permissions.values_list("content_type__app_label", "codename", "pk")
    known = {f"{app}.{codename}": pk for app, codename, pk in labelled}
    for name, permitted in ROLES.items():
        group, _ = groups.get_or_create(name=name)
        # An app whose migrations were undone has no permissions.
        group.permissions.set([known[permission] for permission in permitted if permission in known])
