"""Columns that show more than the value of a field. Lists and the pages of rows can have these columns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.utils import dateformat
from django.utils.html import format_html

from backoffice.lists.actors import in_words
from backoffice.lists.facts import moment_in_words
from foundation import money, states
from wallet.history.products import name_of


def column(label: str, show: Callable[[Any], Any]) -> Any:
    """Return a column with this label. `show` takes the row and returns text or a link."""

    @admin.display(description=label)
    def show_row(self: Any, row: Any) -> Any:
        return show(row)

    return show_row


def state_column(state_of: Callable[[Any], str]) -> Any:
    """Return a column with a state as a tag. `state_of` takes the row and returns the word."""
    return column("state", lambda row: states.tag(state_of(row)))


def product_column() -> Any:
    """Return a column with the name of the row's product, as users' pages write it."""
    return column("product", lambda row: name_of(row.product))


def actor_column(label: str = "by") -> Any:
    """Return a column with the name of the row's actor."""
    return column(label, lambda row: in_words(row.actor, getattr(row, "product", "")))


def amount_column(label: str, field: str, *, dash_for_zero: bool = False) -> Any:
    """Return a column with an amount in the currency of its row.

    An empty field is shown as a dash. With `dash_for_zero`, the amount 0 is shown as a dash too.
    """

    def show(row: Any) -> str:
        value = getattr(row, field)
        has_none = value is None or (dash_for_zero and not value)
        return "–" if has_none else money.amount(value, row.currency)

    return column(label, show)


def refund_tag(amount: str, *, is_whole: bool) -> str:
    """Return what was refunded of a payment as a tag. The amount is left out if it is the whole payment."""
    return states.tag("Refunded" if is_whole else f"{amount} refunded")


def when(moment: datetime) -> str:
    """Return a time in UTC to the minute. The seconds, which staff compare with logs, are in its title."""
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.astimezone(UTC).isoformat(),
        moment_in_words(moment),
        dateformat.format(moment.astimezone(UTC), "j M Y, H:i"),
    )
