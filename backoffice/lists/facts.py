"""What the page of a row says of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import (
    lookup_field,
)
from django.db import models
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst

from foundation import money

MOMENT = "j M Y, H:i:s"


@dataclass(frozen=True)
class Fact:
    """What a row's page says of one thing: its word, its value, and what to know of it ("" for nothing)."""

    name: str
    label: str
    shown: str
    help_text: str


def facts_of(model_admin: Any, adminform: Any, row: models.Model) -> Iterator[Fact]:
    """What the page of a row says, in the words and figures that lists have too."""
    for fieldset in adminform:
        for line in fieldset:
            for each in line:
                told = each.field
                field, _, value = lookup_field(told["field"], row, model_admin)
                said = in_plain_words(field, value)
                shown = each.contents() if said is None else said
                yield Fact(told["name"], capfirst(told["label"]), shown, told["help_text"])


def in_plain_words(field: Any, value: Any) -> str | None:
    """Yes and no as words, a figure with its thousands apart; None for all else, keys among it."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    is_key = field is not None and (field.primary_key or field.is_relation)
    return money.plain(value) if isinstance(value, int) and not is_key else None


def moment_in_words(value: datetime) -> str:
    """An instant in UTC, to the second: what a log or another list is compared with."""
    return dateformat.format(value.astimezone(UTC), MOMENT)


def instant(text: Any) -> datetime:
    try:
        moment = parse_datetime(str(text))
        if moment is None:
            raise IncorrectLookupParameters
        aware = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
        return aware.astimezone(timezone.get_current_timezone())
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None
