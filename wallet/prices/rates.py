"""Prices: read inside every deduction, set by staff, each setting kept."""

from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.db import transaction

from accounts.actors import DEFAULT
from wallet.errors import RateThere, UnknownFeature
from wallet.prices.models import Rate, RateChange

# The two features of the documented rate table (contract part B, 2.5).
DEFAULT_RATES = (
    ("blog.article.generate", "Generate an article", 1, "article"),
    ("mail.send", "Send an email", 1, "1000 emails"),
)


def price(feature: str, count: int) -> int:
    """Credits for `count` units of a feature at the rate of this moment. Raises UnknownFeature."""
    per_unit = Rate.objects.active().filter(feature=feature).values_list("credits", flat=True).first()
    if per_unit is None:
        raise UnknownFeature(feature)
    return per_unit * count


@transaction.atomic
def add_rate(*, feature: str, label: str, credits: int, unit: str, active: bool = True, actor: str) -> Rate:
    """Price a feature that had no price, and keep who did. Raises RateThere."""
    setting = {"label": label, "credits": credits, "unit": unit, "active": active}
    rate, is_new = Rate.objects.get_or_create(feature=feature, defaults=setting)
    if not is_new:
        raise RateThere(f"{feature} has a price already: change that one")
    RateChange.objects.create(feature=feature, actor=actor, **setting)
    return rate


def locked(key: int) -> Rate:
    """A price as it is now, held until the caller's transaction ends."""
    return Rate.objects.select_for_update().get(pk=key)


@transaction.atomic
def set_rate(*, feature: str, label: str, credits: int, unit: str, active: bool = True, actor: str) -> Rate:
    """Set a feature's price from now on, and keep who set it. Charges made before are not touched."""
    setting = {"label": label, "credits": credits, "unit": unit, "active": active}
    rate, _ = Rate.objects.update_or_create(feature=feature, defaults=setting)
    RateChange.objects.create(feature=feature, actor=actor, **setting)
    return rate


def make_default_rates(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Make the documented rates where they are not there yet; what staff changed stays."""
    if "rate" not in apps.all_models["wallet"]:
        return  # Migrated back to nothing.
    there = set(Rate.objects.using(using).values_list("feature", flat=True))
    for feature, label, credits, unit in DEFAULT_RATES:
        if feature not in there:
            set_rate(feature=feature, label=label, credits=credits, unit=unit, actor=DEFAULT)
