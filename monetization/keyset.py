"""Read one page of a creator's list, or read every row of a list for a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from foundation.errors import InvalidCursor
from foundation.http.cursors import cursor_at, row_id_of

Row = TypeVar("Row", bound=Model)

ROWS_MAX = 1000  # The most rows that one query reads.


@dataclass(frozen=True)
class Page(Generic[Row]):
    """The rows of one page, and the cursor of the next page. The last page has no cursor (None)."""

    rows: list[Row]
    next_cursor: str | None


def page_of(
    queryset: QuerySet[Row], *, among: QuerySet[Row], limit: int, cursor: str | None = None
) -> Page[Row]:
    """Return up to `limit` rows (1 to 1000) that come after the row of the cursor.

    The queryset must be ordered by a moment, then by pk. `among` has all rows of the creator. A cursor may
    name any row of `among`, because the row of a cursor can leave the queryset between two pages. Raises
    InvalidCursor if the cursor names no such row.
    """
    assert 1 <= limit <= ROWS_MAX, "the edge has refused anything else"
    if cursor is not None:
        last = among.filter(pk=row_id_of(cursor) or "").first()
        if last is None:
            raise InvalidCursor
        queryset = queryset.filter(_after(queryset, last))
    rows = list(queryset[: limit + 1])  # If one more row exists, there is a next page.
    return Page(rows[:limit], cursor_at(rows[limit - 1].pk) if len(rows) > limit else None)


def every_row(queryset: QuerySet[Row]) -> Iterator[Row]:
    """Yield every row of a queryset that is ordered by a moment, then by pk.

    Each query reads up to 1000 rows. Between two queries, no database cursor and no transaction is open. So a
    slow caller blocks nothing.
    """
    rows = list(queryset[:ROWS_MAX])
    yield from rows
    while len(rows) == ROWS_MAX:
        rows = list(queryset.filter(_after(queryset, rows[-1]))[:ROWS_MAX])
        yield from rows


def _after(queryset: QuerySet[Any], last: Model) -> Q:
    """Return the condition for the rows after `last`. It lets PostgreSQL start to read an index at `last`."""
    by, tie = (str(each) for each in queryset.query.order_by)
    field, beyond = by.removeprefix("-"), "lt" if by.startswith("-") else "gt"
    assert tie == ("-pk" if by.startswith("-") else "pk"), "both run in the same direction"
    moment: datetime = getattr(last, field)
    from_there = Q(**{f"{field}__{beyond}e": moment})
    return from_there & (Q(**{f"{field}__{beyond}": moment}) | Q(**{f"pk__{beyond}": last.pk}))
