"""One page of a creator's list at a time, and every row of a list for a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from foundation.errors import InvalidCursor
from foundation.http.cursors import cursor_at, row_id_of

Row = TypeVar("Row", bound=Model)

ROWS_MAX = 1000  # Of one query.


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the next page; None after the last page."""

    rows: list[Row]
    next_cursor: str | None


def page_of(
    queryset: QuerySet[Row], *, among: QuerySet[Row], limit: int, cursor: str | None = None
) -> Page[Row]:
    """Up to `limit` rows (1 to 1000) that come after the row of the cursor.

    The queryset is ordered by a moment, then by pk. A cursor may name any row of `among`, which are all rows
    of the creator: a row can leave the list between two pages. Raises InvalidCursor.
    """
    assert 1 <= limit <= ROWS_MAX, "the edge has refused anything else"
    if cursor is not None:
        last = among.filter(pk=row_id_of(cursor) or "").first()
        if last is None:
            raise InvalidCursor
        queryset = queryset.filter(_after(queryset, last))
    rows = list(queryset[: limit + 1])  # One more row tells whether there is a next page.
    return Page(rows[:limit], cursor_at(rows[limit - 1].pk) if len(rows) > limit else None)


def every_row(queryset: QuerySet[Row]) -> Iterator[Row]:
    """Every row of a queryset that is ordered by a moment, then by pk.

    Each query reads a thousand rows. Between two queries no cursor and no transaction is open, so a slow
    caller blocks nothing.
    """
    rows = list(queryset[:ROWS_MAX])
    yield from rows
    while len(rows) == ROWS_MAX:
        rows = list(queryset.filter(_after(queryset, rows[-1]))[:ROWS_MAX])
        yield from rows


def _after(queryset: QuerySet[Any], last: Model) -> Q:
    """What comes after a row, written so that PostgreSQL starts to read an index at that row."""
    by, tie = (str(each) for each in queryset.query.order_by)
    field, beyond = by.removeprefix("-"), "lt" if by.startswith("-") else "gt"
    assert tie == ("-pk" if by.startswith("-") else "pk"), "both run in the same direction"
    moment: datetime = getattr(last, field)
    from_there = Q(**{f"{field}__{beyond}e": moment})
    return from_there & (Q(**{f"{field}__{beyond}": moment}) | Q(**{f"pk__{beyond}": last.pk}))
