"""Filters that several lists use."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils import timezone


class When(SimpleListFilter):
    """Rows of today, the last 7 or 30 days, or this month, in UTC. The list's `instant` names the field."""

    title = "when"
    parameter_name = "when"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.instant = model_admin.instant

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("today", "Today"), ("7d", "7 days"), ("30d", "30 days"), ("month", "This month")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() is None:
            return queryset
        now = timezone.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since = {
            "today": midnight,
            "7d": now - timedelta(days=7),
            "30d": now - timedelta(days=30),
            "month": midnight.replace(day=1),
        }.get(str(self.value()))
        if since is None:
            raise IncorrectLookupParameters
        return queryset.filter(**{f"{self.instant}__gte": since})


# In the URL, for rows whose value is empty: an empty value in the URL is no choice.
NO_VALUE = "-"


class ListedFilter(SimpleListFilter):
    """Rows with one value. The page offers some values. The URL may name a value that is not offered.

    A subclass sets `parameter_name` (the lookup) and defines `offered`. The filter does not read the values
    from the table, because this takes too long in a table with millions of rows. If rows may have an empty
    value, `without` has the words for them.
    """

    without = ""

    def offered(self) -> Iterable[str]:
        """The values to choose from."""
        raise NotImplementedError

    def label(self, value: str) -> str:
        """The words for a value on the page."""
        return value

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = [(value, self.label(value)) for value in self.offered()]
        if self.without:
            offered.insert(0, (NO_VALUE, self.without))
        chosen = self.value()
        if chosen and chosen not in dict(offered):
            offered.append((chosen, self.label(chosen)))
        return offered

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        chosen = self.value()
        if chosen is None:
            return queryset
        return queryset.filter(**{cast(str, self.parameter_name): "" if chosen == NO_VALUE else chosen})
