"""A month as CSV files: its figures, and all of its entries."""

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from foundation.spreadsheets import Cell
from wallet.books.months import LINES, Month
from wallet.models import Entry, PayoutItem, StripeMovement

HEADER = ("month", "line", "product", "feature", "kind", "credits", "granted", "paid", "entries")
ENTRY_COLUMNS = (
    *("id", "created_at", "wallet_id", "sequence", "kind", "credits", "balance_after", "product", "feature"),
    *("count", "reverses_id", "stripe_session_id", "idempotency_key", "actor", "effective_at"),
)
# The entries of a stretch are sorted by the database, so it is short where there are many of them.
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=8)
PAGE_SIZE = 2_000


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
    for late in month.late:
        line, whose = f"late entries of {late.month:%Y-%m}", (late.product, late.feature, late.kind)
        yield (name, line, *whose, late.credits, late.granted, late.credits - late.granted, late.entries)
    yield (name, "closing", "", "", "", ends.credits, ends.granted, ends.paid, moved.entries)


def entries(since: datetime, until: datetime) -> Iterator[tuple[Cell, ...]]:
    """Yield the entries that were written from `since` to before `until`, oldest first."""
    start, stretch = since, timedelta(hours=1)
    while start < until:
        end = min(start + stretch, until)
        count = yield from _in_order(Entry.objects.filter(created_at__lt=end), ENTRY_COLUMNS, start)
        start, stretch = end, max(stretch / 2, SHORTEST) if count > PAGE_SIZE else min(stretch * 2, LONGEST)


def _in_order(
    chosen: QuerySet[Any], columns: Sequence[str], start: datetime
) -> Generator[tuple[Cell, ...], None, int]:
    """Yield the rows from `start` on, oldest first. Return how many they were.

    `columns` begin with the id and the time.
    """
    after, count = Q(created_at__gte=start), 0
    while rows := list(chosen.filter(after).order_by("created_at", "pk").values_list(*columns)[:PAGE_SIZE]):
        yield from (tuple(map(_cell, row)) for row in rows)
        count += len(rows)
        last_id, last_at, *_ = rows[-1]
        after = Q(created_at__gte=last_at) & (Q(created_at__gt=last_at) | Q(pk__gt=last_id))
    return count


def _cell(value: str | int | datetime | None) -> Cell:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


MOVEMENT_COLUMNS = (
    *("id", "created_at", "category", "currency", "amount", "fee", "net", "source_id", "payment_intent_id"),
    "payout_id",
)


def movements(since: datetime, until: datetime) -> Iterator[tuple[Cell, ...]]:
    """Yield what moved at Stripe from `since` to before `until`, oldest first, each with its payout.

    Amounts are in the smallest unit of the currency.
    """
    sent_in = PayoutItem.objects.filter(movement_id=OuterRef("pk")).values("payout_id")
    rows = StripeMovement.objects.annotate(net=F("amount") - F("fee"), payout_id=Subquery(sent_in))
    yield from _in_order(rows.filter(created_at__lt=until), MOVEMENT_COLUMNS, since)
