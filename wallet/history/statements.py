"""Read a wallet's history: by page, as a whole, by day and by month.

Days are UTC days, and a range includes its first and its last day. Days and months begin and end at
places in the sequence (places.py). So the opening balance plus the entries is always the closing balance.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Count, F, Func, IntegerField, Q, Subquery, Sum, Value

from foundation.calendar import add_months, end_of, start_of
from foundation.errors import InvalidCursor
from foundation.http.cursors import cursor_at, row_id_of
from wallet.books.models import Entry, EntryQuerySet
from wallet.books.places import Cut, cuts

PAGE_DEFAULT = 20
PAGE_MAX = 100
# A statement with more entries than this shows one line for each day instead of the entries.
ENTRIES_SHOWN_MAX = 300
# Each query of `history` reads this many numbers of the sequence.
PLACES_AT_ONCE = 5000


@dataclass(frozen=True)
class Choice:
    """A filter for the entries of a wallet: by kind, product, feature and days. The default is all entries.

    If a day is None, that side has no limit.
    """

    kinds: tuple[str, ...] = ()
    product: str = ""
    feature: str = ""
    first_day: date | None = None
    last_day: date | None = None


EVERYTHING = Choice()


@dataclass(frozen=True)
class Page:
    """Some entries, newest first. `next_cursor` is the cursor of the next page; None on the last page."""

    entries: list[Entry]
    next_cursor: str | None


@dataclass(frozen=True)
class DayBalance:
    """The balance of a wallet at the end of a day, in credits. It is negative if the user owed credits."""

    day: date
    balance: int


@dataclass(frozen=True)
class KindTotal:
    """The entries of one kind in a month.

    `entries` is their number. `credits` is their sum, which is negative if credits were taken.
    """

    kind: Entry.Kind
    entries: int
    credits: int


@dataclass(frozen=True)
class DayLine:
    """A day with entries. `added` and `taken` are positive. `closing` is the balance after the day."""

    day: date
    added: int
    taken: int
    closing: int


@dataclass(frozen=True)
class MonthlyStatement:
    """One month of a wallet, in credits: `opening + added - taken == closing`. `taken` is positive.

    `entries` has the oldest entry first; it is () if there are more than ENTRIES_SHOWN_MAX. `entries_count`
    is the number of all entries. `by_kind` is in the order of Entry.Kind. `days` has one line for each day
    with entries.
    """

    first_day: date
    last_day: date
    opening: int
    closing: int
    added: int
    taken: int
    entries_count: int
    by_kind: list[KindTotal]
    entries: tuple[Entry, ...]
    days: list[DayLine]


def page(
    *, user_id: str, limit: int = PAGE_DEFAULT, cursor: str | None = None, choice: Choice = EVERYTHING
) -> Page:
    """Return one page: at most `limit` (1 to 100) entries of the choice, newest first.

    With a cursor, only entries that are older than the cursor are returned. Raises InvalidCursor.
    """
    entries = _chosen(Entry.objects.of_user(user_id), choice)
    if choice.first_day or choice.last_day:
        entries = entries.between(*_places(user_id, choice))
    if cursor is not None:
        # One query for both, so a deep page costs hardly more than the first one.
        entries = entries.filter(sequence__lt=Subquery(_at(cursor, user_id).values("sequence")))
    rows = list(entries[: limit + 1])  # One more row, to see if there is a next page.
    if cursor is not None and not rows and not _at(cursor, user_id).exists():
        raise InvalidCursor
    return Page(rows[:limit], cursor_at(rows[limit - 1].pk) if len(rows) > limit else None)


def history(*, user_id: str, choice: Choice = EVERYTHING) -> Iterator[Entry]:
    """Yield every entry of the choice, newest first.

    Entries that are written after the first query are left out. Each query reads a few thousand entries.
    Between two queries, no database cursor and no transaction is open, so a slow caller blocks nothing.
    """
    first, last = _places(user_id, choice)
    for top in range(last, first, -PLACES_AT_ONCE):
        entries = Entry.objects.of_user(user_id).between(max(first, top - PLACES_AT_ONCE), top)
        yield from list(_chosen(entries, choice))


def closing_balances(*, user_id: str, first_day: date, last_day: date) -> list[DayBalance]:
    """Return the balance of the wallet at the end of each day (both days included), oldest first.

    The balance is 0 before the first entry. A day without entries, or in the future, has the balance of the
    day before. This is one query. Its cost depends on the number of days, and hardly on the number of
    entries. Use it for a few years at most.
    """
    days = _days(first_day, last_day)
    places = cuts(user_id, [end_of(day) for day in days])
    return [DayBalance(day, place.balance) for day, place in zip(days, places, strict=True)]


def months(user_id: str) -> list[date]:
    """Return the first day of each month from the first entry to the last entry, newest first.

    Months without entries in between are included.
    """
    written = Entry.objects.of_user(user_id).values_list("created_at", flat=True)
    newest, oldest = written.first(), written.last()
    if newest is None or oldest is None:
        return []
    first_month = oldest.date().replace(day=1)
    # The second of two old entries can have the earlier time, even a time in the month before (places.py). If
    # the month before has entries, include it.
    if cuts(user_id, [start_of(first_month)])[0].sequence:
        first_month = add_months(first_month, -1)
    found = [newest.date().replace(day=1)]
    while found[-1] > first_month:
        found.append(add_months(found[-1], -1))
    return found


def last_day_of_month(first_day: date) -> date:
    """Return the last day of the month that begins on this day."""
    return first_day.replace(day=monthrange(first_day.year, first_day.month)[1])


def month(*, user_id: str, first_day: date) -> MonthlyStatement:
    """Return the statement of the month that begins on this day.

    The current month has only the entries that exist now. A month without entries has a statement too.
    """
    assert first_day.day == 1, "a month begins on its first day"
    last_day = last_day_of_month(first_day)
    days = _days(first_day, last_day)
    opening, *ends = cuts(user_id, [start_of(first_day), *(end_of(day) for day in days)])
    closing = ends[-1]
    entries_count = closing.sequence - opening.sequence
    entries = Entry.objects.of_user(user_id).between(opening.sequence, closing.sequence).order_by("sequence")
    moves = _moves(entries, [opening, *ends])
    by_kind = [(kind, [move for move in moves if move["kind"] == kind]) for kind in Entry.Kind]
    by_day = [[move for move in moves if move["day"] == number] for number in range(1, len(days) + 1)]
    return MonthlyStatement(
        first_day=first_day,
        last_day=last_day,
        opening=opening.balance,
        closing=closing.balance,
        added=_sum(moves, "added"),
        taken=_sum(moves, "taken"),
        entries_count=entries_count,
        by_kind=[
            KindTotal(kind, _sum(of_kind, "entries"), _sum(of_kind, "added") - _sum(of_kind, "taken"))
            for kind, of_kind in by_kind
            if of_kind
        ],
        entries=tuple(entries) if entries_count <= ENTRIES_SHOWN_MAX else (),
        days=[
            DayLine(day, _sum(of_day, "added"), _sum(of_day, "taken"), end.balance)
            for day, end, of_day in zip(days, ends, by_day, strict=True)
            if of_day
        ],
    )


def _moves(entries: EntryQuerySet, places: list[Cut]) -> Sequence[Mapping[str, Any]]:
    """Return what the entries of each kind added and took on each day of a month. The first day is 1."""
    sequences = Value([place.sequence for place in places], output_field=ArrayField(BigIntegerField()))
    # A day begins at each place except the last one. The day of an entry is the number of places that are
    # before this entry.
    day = Func(F("sequence") - 1, sequences, function="width_bucket", output_field=IntegerField())
    return list(
        entries.order_by()
        .values("kind", day=day)
        .annotate(
            entries=Count("pk"),
            added=Sum("credits", filter=Q(credits__gt=0), default=0),
            taken=Sum(-F("credits"), filter=Q(credits__lt=0), default=0),
        )
    )


def _sum(moves: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(move[name] for move in moves)


# --- Choosing ---------------------------------------------------------------------------------------


def _chosen(entries: EntryQuerySet, choice: Choice) -> EntryQuerySet:
    """Return the entries of the choice, on any day."""
    conditions = {"kind__in": choice.kinds, "product": choice.product, "feature": choice.feature}
    return entries.filter(**{name: value for name, value in conditions.items() if value})


def _places(user_id: str, choice: Choice) -> tuple[int, int]:
    """Return the entries of the days of a choice, as a range of `sequence`.

    They are the entries after the first number, up to and including the second number.
    """
    first, last = start_of(choice.first_day or date.min), end_of(choice.last_day or date.max)
    before, until = cuts(user_id, [first, last])
    return before.sequence, until.sequence


def _at(cursor: str, user_id: str) -> EntryQuerySet:
    # A cursor of another wallet is not valid here.
    return Entry.objects.filter(wallet_id=user_id, pk=row_id_of(cursor) or "")


def _days(first_day: date, last_day: date) -> list[date]:
    return [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]
