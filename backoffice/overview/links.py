"""The addresses of the rows behind a figure: lists of the back-office, narrowed as by their own filters."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse

from monetization.figures.periods import Period
from wallet.models import Entry

Condition = str | int | datetime


def rows(of: type[models.Model], **conditions: Condition) -> str:
    """The list of a model where all of these conditions hold: lookups of the admin and their values."""
    address = reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_changelist")
    query = urlencode({lookup: _written(value) for lookup, value in conditions.items()})
    return f"{address}?{query}" if query else address


def row(of: models.Model) -> str:
    """The page of one row."""
    return reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_change", args=[quote(of.pk)])


def within(since: datetime, until: datetime) -> dict[str, Condition]:
    """The condition that a row was written from `since` on, and before `until`."""
    return {"created_at__gte": since, "created_at__lt": until}


def entries(period: Period, *, product: str | None = None, **conditions: Condition) -> str:
    """The ledger's entries of a period; of one product where one is named ("" is none), else of all."""
    if product is not None:
        conditions["product__exact"] = product
    return rows(Entry, **conditions, **within(period.since, period.until))


def _written(value: Condition) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
