"""Plans: the ones a new database starts with, and changing one. Every change is recorded."""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import transaction

from accounts.actors import DEFAULT
from accounts.errors import PlanThere
from accounts.models import Plan, PlanChange, User

# Contract 19 and part B 6.2: fees in basis points, and active API keys (None: no limit).
DEFAULT_PLANS = (
    ("free", "Free", 500, 1),
    ("pro", "Pro", 400, 5),
    ("max", "Max", 300, None),
    ("enterprise", "Enterprise", 200, None),
)


@transaction.atomic
def add_plan(*, slug: str, name: str, fee_bps: int, key_limit: int | None, actor: str) -> Plan:
    """Add a plan and record who added it. Raises PlanThere."""
    setting = {"name": name, "fee_bps": fee_bps, "key_limit": key_limit}
    plan, is_new = Plan.objects.get_or_create(slug=slug, defaults=setting)
    if not is_new:
        raise PlanThere(f"There is a plan {slug} already: change that one")
    PlanChange.objects.create(slug=slug, actor=actor, **setting)
    return plan


def locked(slug: str) -> Plan:
    """A plan as it is now, locked until the caller's transaction ends."""
    return Plan.objects.select_for_update().get(pk=slug)


@transaction.atomic
def set_plan(*, slug: str, name: str, fee_bps: int, key_limit: int | None, actor: str) -> Plan:
    """Change a plan and record who changed it. Tips recorded before keep their fee."""
    setting = {"name": name, "fee_bps": fee_bps, "key_limit": key_limit}
    plan, _ = Plan.objects.update_or_create(slug=slug, defaults=setting)
    PlanChange.objects.create(slug=slug, actor=actor, **setting)
    return plan


def assign(*, user: User, plan: Plan) -> None:
    """Put a user on a plan. Keys beyond its limit stay valid, but no further one can be made."""
    User.objects.filter(pk=user.pk).update(plan=plan)


def make_default_plans(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Add the plans that do not exist yet; what staff changed stays."""
    if "plan" not in apps.all_models["accounts"]:
        return  # Every migration was undone.
    existing = set(Plan.objects.using(using).values_list("slug", flat=True))
    for slug, name, fee_bps, key_limit in DEFAULT_PLANS:
        if slug not in existing:
            set_plan(slug=slug, name=name, fee_bps=fee_bps, key_limit=key_limit, actor=DEFAULT)
