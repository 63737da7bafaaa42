"""Builds the URL of the rows behind a figure: a list of the back-office with its filters set."""

from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import reverse

from backoffice.lists.filters import NO_VALUE
from monetization.figures.periods import Period
from wallet.models import Entry

Condition = str | int | datetime


def rows(of: type[models.Model], **conditions: Condition) -> str:
    """Return the URL of a model's list that shows only the rows that meet all conditions.

    Each condition is a lookup of the admin with its value.
    """
    address = reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_changelist")
    query = urlencode({lookup: _written(value) for lookup, value in conditions.items()})
    return f"{address}?{query}" if query else address


def row(of: models.Model) -> str:
    """Return the URL of the page of one row."""
    return reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_change", args=[quote(of.pk)])


def within(since: datetime, until: datetime) -> dict[str, Condition]:
    """Return the conditions for rows that were created at `since` or later, and before `until`."""
    return {"created_at__gte": since, "created_at__lt": until}


def entries(
    period: Period, *, kinds: Collection[Entry.Kind] = (), product: str | None = None, **conditions: Condition
) -> str:
    """Return the URL of the list of the ledger entries that were created in a period.

    `kinds` limits the list to some kinds, and `product` to one product. A product "" means entries without a
    product, None means all entries.
    """
    if kinds:
        conditions["kind__exact" if len(kinds) == 1 else "kind__in"] = ",".join(kinds)
    if product is not None:
        conditions["product__exact"] = product or NO_VALUE
    return rows(Entry, **conditions, **within(period.since, period.until))


def _written(value: Condition) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
