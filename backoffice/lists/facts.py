"""The facts on the page of a row, and functions that format values for lists and pages of rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import lookup_field
from django.db import models
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst

from foundation import money, states

# Fields with states, which lists and pages of rows show as tags.
STATES = {"state", "status", "outcome"}
# Ids that staff copy into other systems, such as Stripe's dashboard.
COPIED = {
    *("misar_id", "user_id", "stripe_session_id", "idempotency_key", "charge_id", "payment", "sessions"),
    *("stripe_payment_id", "stripe_subscription_id", "its_refund"),
}


@dataclass(frozen=True)
class Fact:
    """One field and its value, as the page of a row shows them. `help_text` may be "".

    `is_copied`: the page has a button that copies the value.
    """

    name: str
    label: str
    shown: str
    help_text: str = ""
    is_copied: bool = False


def facts_of(model_admin: Any, adminform: Any, row: models.Model) -> Iterator[Fact]:
    """Yield the facts of a row. Booleans, integers and columns have the same format as in lists.

    A row's id comes first if it is a text, such as one of Stripe.
    """
    if model_admin.opts.pk.name == "id" and isinstance(row.pk, str):
        yield Fact("id", "ID", row.pk, is_copied=True)
    for fieldset in adminform:
        for line in fieldset:
            for each in line:
                field, _, value = lookup_field(each.field["field"], row, model_admin)
                plain = in_plain_words(field, value)
                if field is not None and field.name in STATES and value:
                    plain = states.tag(dict(field.flatchoices).get(value, value))
                if field is None and isinstance(value, datetime):
                    plain = f"{moment_in_words(value)} UTC"
                elif field is None and value is None:
                    plain = model_admin.get_empty_value_display()
                yield Fact(
                    name=each.field["name"],
                    label=capfirst(each.field["label"]),
                    shown=each.contents() if plain is None else plain,
                    help_text=each.field["help_text"],
                    is_copied=bool(value) and each.field["name"] in COPIED,
                )


def in_plain_words(field: Any, value: Any) -> str | None:
    """Return a boolean as Yes or No, and an integer with commas.

    Return None for a primary key, a foreign key, and a value of another type.
    """
    if isinstance(value, bool):
        return "Yes" if value else "No"
    is_key = field is not None and (field.primary_key or field.is_relation)
    return money.plain(value) if isinstance(value, int) and not is_key else None


def moment_in_words(value: datetime) -> str:
    """Return a time in UTC with seconds, so that staff can compare it with logs."""
    return dateformat.format(value.astimezone(UTC), "j M Y, H:i:s")


def instant(text: Any) -> datetime:
    """Parse the time in a query parameter. A time without a time zone is read as UTC.

    Raises IncorrectLookupParameters if the text is not a valid time.
    """
    try:
        moment = parse_datetime(str(text))
        if moment is None:
            raise IncorrectLookupParameters
        aware = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
        return aware.astimezone(timezone.get_current_timezone())
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None
