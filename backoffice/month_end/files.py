"""A month as CSV files: its figures, and all of its entries."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet

from foundation.spreadsheets import Cell
from wallet.books.months import LINES, Month
from wallet.models import Entry

HEADER = ("month", "line", "product", "feature", "kind", "credits", "granted", "paid", "entries")
ENTRY_COLUMNS = (
    *("id", "created_at", "wallet_id", "sequence", "kind", "credits", "balance_after", "product", "feature"),
    *("count", "reverses_id", "stripe_session_id", "idempotency_key", "actor", "effective_at"),
)
# A page of entries lies within one hour, and is sorted; so a file of any length needs little memory.
STRETCH, PAGE_SIZE = timedelta(hours=1), 2_000


def summary(month: Month) -> Iterator[tuple[Cell, ...]]:
    """Yield the opening, each part of each line, and the closing. The credits of all parts add up."""
    name = f"{month.first_day:%Y-%m}"
    begins, ends, moved = month.begins, month.ends, month.moved
    yield (name, "opening", "", "", "", begins.credits, begins.granted, begins.paid, None)
    for line, kinds in LINES.items():
        for part in month.parts:
            if part.kind in kinds:
                paid = part.credits - part.granted
                whose = (part.product, part.feature, part.kind)
                yield (name, line, *whose, part.credits, part.granted, paid, part.entries)
    yield (name, "closing", "", "", "", ends.credits, ends.granted, ends.paid, moved.entries)


def entries(
    since: datetime, until: datetime, product: str | None, feature: str | None
) -> Iterator[tuple[Cell, ...]]:
    """Yield the entries that were written from `since` to before `until`, oldest first.

    With `product` and `feature`, only entries that have these, also if they are "".
    """
    named = {"product": product, "feature": feature}
    chosen = Entry.objects.filter(**{name: value for name, value in named.items() if value is not None})
    start = since
    while start < until:
        yield from _within(chosen.filter(created_at__lt=min(start + STRETCH, until)), start)
        start += STRETCH


def _within(chosen: QuerySet[Entry], start: datetime) -> Iterator[tuple[Cell, ...]]:
    after = Q(created_at__gte=start)
    while rows := list(
        chosen.filter(after).order_by("created_at", "pk").values_list(*ENTRY_COLUMNS)[:PAGE_SIZE]
    ):
        yield from (tuple(map(_cell, row)) for row in rows)
        last_id, last_at, *_ = rows[-1]
        after = Q(created_at__gte=last_at) & (Q(created_at__gt=last_at) | Q(pk__gt=last_id))


def _cell(value: str | int | datetime | None) -> Cell:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
