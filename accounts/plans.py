"""Add, change and assign plans, and add the default plans. Every added or changed plan is recorded."""

from decimal import Decimal
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import transaction

from accounts.actors import DEFAULT
from accounts.errors import PlanThere
from accounts.models import Plan, PlanChange, User
from foundation.words import count

# Slug, name, fee in basis points, and number of active API keys (None: no limit). Contract 19, part B 6.2.
DEFAULT_PLANS = (
    ("free", "Free", 500, 1),
    ("pro", "Pro", 400, 5),
    ("max", "Max", 300, None),
    ("enterprise", "Enterprise", 200, None),
)


@transaction.atomic
def add_plan(*, slug: str, name: str, fee_bps: int, key_limit: int | None, actor: str) -> Plan:
    """Add a plan and record the actor. Raises PlanThere if there is a plan with this slug."""
    setting = {"name": name, "fee_bps": fee_bps, "key_limit": key_limit}
    plan, is_new = Plan.objects.get_or_create(slug=slug, defaults=setting)
    if not is_new:
        raise PlanThere(f"There is a plan {slug} already: change that one")
    PlanChange.objects.create(slug=slug, actor=actor, **setting)
    return plan


def locked(slug: str) -> Plan:
    """Lock a plan until the caller's transaction ends, and return it."""
    return Plan.objects.select_for_update().get(pk=slug)


@transaction.atomic
def set_plan(*, slug: str, name: str, fee_bps: int, key_limit: int | None, actor: str) -> Plan:
    """Change a plan, or add it, and record the actor. The fee of tips recorded before does not change."""
    setting = {"name": name, "fee_bps": fee_bps, "key_limit": key_limit}
    plan, _ = Plan.objects.update_or_create(slug=slug, defaults=setting)
    PlanChange.objects.create(slug=slug, actor=actor, **setting)
    return plan


def what_it_gives(plan: Plan) -> list[str]:
    """Return what a plan gives to its creators, as sentences without a full stop.

    >>> what_it_gives(Plan(fee_bps=275, key_limit=1))
    ['You keep 97.25% of each tip; the platform fee is 2.75%', '1 active API key']
    """
    fee, rest = (
        f"{Decimal(bps) / 100:f}".removesuffix(".00") for bps in (plan.fee_bps, 10_000 - plan.fee_bps)
    )
    keys = (
        "Any number of active API keys" if plan.key_limit is None else count(plan.key_limit, "active API key")
    )
    return [f"You keep {rest}% of each tip; the platform fee is {fee}%", keys]


def assign(*, user: User, plan: Plan) -> None:
    """Put a user on a plan. Keys above the plan's limit stay valid, but no further keys can be made."""
    User.objects.filter(pk=user.pk).update(plan=plan)


def make_default_plans(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Add the default plans that do not exist yet. Existing plans do not change."""
    if "plan" not in apps.all_models["accounts"]:
        return  # All migrations were undone, so there is no table.
    existing = set(Plan.objects.using(using).values_list("slug", flat=True))
    for slug, name, fee_bps, key_limit in DEFAULT_PLANS:
        if slug not in existing:
            set_plan(slug=slug, name=name, fee_bps=fee_bps, key_limit=key_limit, actor=DEFAULT)
