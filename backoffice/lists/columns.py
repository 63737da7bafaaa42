"""Columns of a list that show more than a field does. A row's page can show them too."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin

from foundation import money


def column(label: str, show: Callable[[Any], Any]) -> Any:
    """A column with this label; `show` takes the row and returns text or a link."""

    @admin.display(description=label)
    def show_row(self: Any, row: Any) -> Any:
        return show(row)

    return show_row


def amount_column(label: str, field: str, *, dash_for_zero: bool = False) -> Any:
    """A column with an amount in the currency of its row. An empty field is shown as a dash."""

    def show(row: Any) -> str:
        value = getattr(row, field)
        has_none = value is None or (dash_for_zero and not value)
        return "–" if has_none else money.amount(value, row.currency)

    return column(label, show)
