"""A creator's lists page by page: where a page begins, and what comes after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from foundation.http.cursors import cursor_at, row_id_of
from monetization.errors import InvalidCursor

Row = TypeVar("Row", bound=Model)

PAGE_DEFAULT = 50
PAGE_MAX = 1000


# --- Pages ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and where the next page begins; None after the last."""

    rows: list[Row]
    next_cursor: str | None


def page_of(queryset: QuerySet[Row], *, limit: int = PAGE_DEFAULT, cursor: str | None = None) -> Page[Row]:
    """Up to `limit` rows (1 to 1000) of a filter's queryset that come after the cursor.

    A row that changes or leaves the list does not invalidate the cursors that came after it. Raises
    InvalidCursor.
    """
    assert 1 <= limit <= PAGE_MAX, "the edge has refused anything else"
    by = _order_of(queryset)
    if cursor is not None:
        queryset = queryset.filter(after(by, *_place_at(cursor)))
    found = list(queryset[: limit + 1])  # One more tells whether there is a next page.
    more, found = len(found) > limit, found[:limit]
    return Page(found, _cursor_after(found[-1], by) if more else None)


def every_row(queryset: QuerySet[Row]) -> Iterator[Row]:
    """Every row of a filter's queryset, in its order, for a file of any length.

    Read a thousand rows at a time, each by a query of its own: between them no cursor and no transaction
    is held, however slowly the caller goes on.
    """
    cursor: str | None = None
    while True:
        page = page_of(queryset, limit=PAGE_MAX, cursor=cursor)
        yield from page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


def after(by: str, moment: datetime, row_id: str) -> Q:
    """What comes after a place in a list ordered by a moment, equal ones by id; a minus for newest first.

    Written so that PostgreSQL begins to read an index at that place, and not at the list's first row.
    """
    field, beyond = by.removeprefix("-"), "lt" if by.startswith("-") else "gt"
    from_there = Q(**{f"{field}__{beyond}e": moment})
    return from_there & (Q(**{f"{field}__{beyond}": moment}) | Q(**{f"pk__{beyond}": row_id}))


def _order_of(queryset: QuerySet[Any]) -> str:
    by, tie = (str(each) for each in queryset.query.order_by)
    assert tie == ("-pk" if by.startswith("-") else "pk"), "a filter's own order"
    return by


def _cursor_after(row: Model, by: str) -> str:
    # The place itself, not the row that was there: a tip that is refunded leaves the list of the others.
    moment: datetime = getattr(row, by.removeprefix("-"))
    return cursor_at(f"{moment.astimezone(UTC).isoformat()}/{row.pk}")


def _place_at(cursor: str) -> tuple[datetime, str]:
    text, _, row_id = (row_id_of(cursor) or "").partition("/")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not row_id:
            raise InvalidCursor
        return moment.astimezone(UTC), row_id
    except (ValueError, OverflowError):
        raise InvalidCursor from None
