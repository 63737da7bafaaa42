"""Read one page of a creator's list, or read every row of a list for a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import BooleanField, F, Func, Model, QuerySet, Value

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

    The queryset must be ordered by fields that are never NULL, the last of them pk, all in one direction. A
    field may be an annotation that `among` has too. `among` has all rows of the creator. A cursor may name
    any row of `among`, because the row of a cursor can leave the queryset between two pages. If a field of
    that row has changed since, the page begins after the row's new place. Raises InvalidCursor if the cursor
    names no such row.
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
    """Yield every row of a queryset that is ordered as in `page_of`.

    Each query reads up to 1000 rows. Between two queries, no database cursor and no transaction is open. So a
    slow caller blocks nothing.
    """
    rows = list(queryset[:ROWS_MAX])
    yield from rows
    while len(rows) == ROWS_MAX:
        rows = list(queryset.filter(_after(queryset, rows[-1]))[:ROWS_MAX])
        yield from rows


def _after(queryset: QuerySet[Any], last: Model) -> Func:
    """Return the condition for the rows after `last`. It lets PostgreSQL start to read an index at `last`."""
    order = [str(each) for each in queryset.query.order_by]
    names = [each.removeprefix("-") for each in order]
    is_down = order[0].startswith("-")
    assert names[-1] == "pk", "the order is complete"
    assert all(each.startswith("-") == is_down for each in order), "all run in the same direction"
    computed = queryset.query.annotations
    fields: list[Any] = [
        computed[name].output_field if name in computed else last._meta.get_field(name)
        for name in [*names[:-1], last._meta.pk.name]
    ]
    values = [Value(getattr(last, name), field) for name, field in zip(names, fields, strict=True)]
    # Of rows, PostgreSQL compares the first fields that differ.
    rows = (Func(*each, function="ROW", output_field=BooleanField()) for each in (map(F, names), values))
    beyond = " < " if is_down else " > "
    return Func(*rows, template="%(expressions)s", arg_joiner=beyond, output_field=BooleanField())
