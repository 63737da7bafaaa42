"""Where the rows behind a figure are: lists of the back-office, narrowed as their own filters would."""

from datetime import UTC, date, datetime
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse

from monetization.figures.periods import Period
from wallet.models import Entry

Condition = str | int | datetime


def rows(of: type[models.Model], **conditions: Condition) -> str:
    """The list of a model where all of these hold: lookups of the admin, moments as they are."""
    address = reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_changelist")
    asked = urlencode({lookup: _written(value) for lookup, value in conditions.items()})
    return f"{address}?{asked}" if asked else address


def row(of: models.Model) -> str:
    """The page of one row."""
    return reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_change", args=[quote(of.pk)])


def within(since: datetime, until: datetime) -> dict[str, Condition]:
    """What was written from `since` on, and before `until`."""
    return {"created_at__gte": since, "created_at__lt": until}


def entries(period: Period, *, product: str | None = None, **conditions: Condition) -> str:
    """The ledger's entries of a period; of one product where one is named, which may be none, ""."""
    if product is not None:
        conditions["product__exact"] = product
    return rows(Entry, **conditions, **within(period.since, period.until))


def _written(value: Condition | date) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
