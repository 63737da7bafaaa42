"""Read and set prices. Every charge reads a price. Staff set prices, and every change is recorded."""

from collections.abc import Iterable
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


# The prices that this process has read, by feature. There are never more than features with a rate.
_remembered: dict[str, int] = {}


def price(feature: str, count: int) -> int:
    """Return the price in credits of `count` units of a feature, at its current rate.

    Raises UnknownFeature if the feature has no active rate.
    """
    per_unit = Rate.objects.active().filter(feature=feature).values_list("credits", flat=True).first()
    if per_unit is None:
        raise UnknownFeature(feature)
    _remembered[feature] = per_unit
    return per_unit * count


def remembered(feature: str) -> int | None:
    """Return the price of one unit that this process last read, or None. It may be out of date."""
    return _remembered.get(feature)


def prices(features: Iterable[str]) -> dict[str, int]:
    """Return the credits for one unit of each of these features that has an active rate."""
    found = dict(Rate.objects.active().filter(feature__in=features).values_list("feature", "credits"))
    _remembered.update(found)
    return found


@transaction.atomic
def add_rate(*, feature: str, label: str, credits: int, unit: str, active: bool = True, actor: str) -> Rate:
    """Add the price of a feature and record who added it. Raises RateThere if there is a price already."""
    setting = {"label": label, "credits": credits, "unit": unit, "active": active}
    rate, is_new = Rate.objects.get_or_create(feature=feature, defaults=setting)
    if not is_new:
        raise RateThere(f"{feature} has a price already: change that one")
    RateChange.objects.create(feature=feature, actor=actor, **setting)
    return rate


def locked(key: int) -> Rate:
    """Lock a price until the caller's transaction ends, and return it."""
    return Rate.objects.select_for_update().get(pk=key)


@transaction.atomic
def set_rate(*, feature: str, label: str, credits: int, unit: str, active: bool = True, actor: str) -> Rate:
    """Set a feature's price for all later charges, and record who set it. Earlier charges do not change."""
    setting = {"label": label, "credits": credits, "unit": unit, "active": active}
    rate, _ = Rate.objects.update_or_create(feature=feature, defaults=setting)
    RateChange.objects.create(feature=feature, actor=actor, **setting)
    return rate


def make_default_rates(using: str = "default", apps: Apps = installed, **signal: Any) -> None:
    """Add the documented rates that do not exist yet. Rates that staff have changed stay as they are."""
    if "rate" not in apps.all_models["wallet"]:
        return  # All migrations of the wallet were undone, so the table does not exist.
    existing = set(Rate.objects.using(using).values_list("feature", flat=True))
    for feature, label, credits, unit in DEFAULT_RATES:
        if feature not in existing:
            set_rate(feature=feature, label=label, credits=credits, unit=unit, actor=DEFAULT)
