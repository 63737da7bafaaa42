"""The plans a service starts with; staff edit them afterwards."""

from typing import Any

from accounts.models import Plan

# Contract 19 and part B 6.2: fees in basis points, and active API keys (None: no limit).
DEFAULT_PLANS = (
    ("free", "Free", 500, 1),
    ("pro", "Pro", 400, 5),
    ("max", "Max", 300, None),
    ("enterprise", "Enterprise", 200, None),
)


def make_default_plans(using: str = "default", **signal: Any) -> None:
    """Make the plans that are not there yet; what staff changed stays."""
    plans = [
        Plan(slug=slug, name=name, fee_bps=fee_bps, key_limit=key_limit)
        for slug, name, fee_bps, key_limit in DEFAULT_PLANS
    ]
    Plan.objects.using(using).bulk_create(plans, ignore_conflicts=True)
