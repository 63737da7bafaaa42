"""Reading a wallet's history: page by page, as a whole, by the day and by the month.

Days are calendar days in UTC, both ends of a range included. Figures of days and months are cut out of the
history by sequence (places.py), so that opening and entries always come to the closing.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import connection

from foundation.calendar import end_of, start_of
from foundation.errors import InvalidCursor
from foundation.http.cursors import cursor_at, row_id_of
from wallet.books.models import Entry, EntryQuerySet
from wallet.books.places import CLOCKS_APART, Cut, cuts

PAGE_DEFAULT = 20
PAGE_MAX = 100
# A month's statement lists at most so many entries; a longer one has a line for each day.
ENTRIES_SHOWN_MAX = 300
# How much of a history one query of `history` looks through.
PLACES_AT_ONCE = 5000


@dataclass(frozen=True)
class Choice:
    """Which entries of a wallet: of these kinds, this product, this feature, these days; the default is all.

    An entry belongs to the UTC day on which it was written. A day left None leaves that end open.
    """

    kinds: tuple[str, ...] = ()
    product: str = ""
    feature: str = ""
    first_day: date | None = None
    last_day: date | None = None


EVERYTHING = Choice()


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and where the next page begins; None after the last."""

    entries: list[Entry]
    next_cursor: str | None


@dataclass(frozen=True)
class DayBalance:
    """What a wallet held at the end of a day, in credits; negative where the user owed."""

    day: date
    balance: int


@dataclass(frozen=True)
class KindTotal:
    """The entries of one kind in a month: how many, and their credits with their sign."""

    kind: Entry.Kind
    entries: int
    credits: int


@dataclass(frozen=True)
class DayLine:
    """A day with entries: credits added and taken, both as positive numbers, and the balance it left."""

    day: date
    added: int
    taken: int
    closing: int


@dataclass(frozen=True)
class MonthlyStatement:
    """One month of a wallet, in credits: `opening + added - taken == closing`, both moves positive numbers.

    `entries` are oldest first; () where the month has more than ENTRIES_SHOWN_MAX (`entries_count` says how
    many). `by_kind` is in the order of Entry.Kind, `days` has a line for each day with entries.
    """

    user_id: str
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
    """Up to `limit` entries (1 to 100) of the choice that are older than the cursor. Raises InvalidCursor."""
    entries = _chosen(Entry.objects.of_user(user_id), choice)
    if choice.first_day or choice.last_day:
        entries = entries.between(*_places(user_id, choice))
    if cursor is not None:
        entries = entries.filter(sequence__lt=_sequence_at(cursor, user_id))
    found = list(entries[: limit + 1])  # One more tells whether there is a next page.
    more = len(found) > limit
    found = found[:limit]
    return Page(found, cursor_at(found[-1].pk) if more else None)


def history(*, user_id: str, choice: Choice = EVERYTHING) -> Iterator[Entry]:
    """Every entry of the choice as of the first one read, newest first.

    Read some thousand places of the history at a time, each by a query of its own: between them no cursor
    and no transaction is held, however slowly the caller goes on.
    """
    first, last = _places(user_id, choice)
    for top in range(last, first, -PLACES_AT_ONCE):
        entries = Entry.objects.of_user(user_id).between(max(first, top - PLACES_AT_ONCE), top)
        yield from list(_chosen(entries, choice))


def closing_balances(*, user_id: str, first_day: date, last_day: date) -> list[DayBalance]:
    """What the wallet held at the end of each day, oldest first, both days included.

    0 before its first entry; a day without entries, also one to come, ends as the day before it. One query,
    of an effort that grows with the days and hardly with the entries; for a few years at most.
    """
    days = _days(first_day, last_day)
    places = cuts(user_id, [end_of(day) for day in days])
    return [DayBalance(day, place.balance) for day, place in zip(days, places, strict=True)]


def months(user_id: str) -> list[date]:
    """The first days of the months from the wallet's first entry to its last, newest first, none left out."""
    written = Entry.objects.of_user(user_id).values_list("created_at", flat=True)
    newest, oldest = written.first(), written.last()
    if newest is None or oldest is None:
        return []
    # By the clock of another host the second entry may be of the month before the first.
    eve = start_of(oldest.date().replace(day=1)) - timedelta(days=1)
    if cuts(user_id, [end_of(eve.date())])[0].sequence:
        oldest = eve
    first_day, found = newest.date().replace(day=1), []
    while first_day >= oldest.date().replace(day=1):
        found.append(first_day)
        first_day = (first_day - timedelta(days=1)).replace(day=1)
    return found


def month(*, user_id: str, first_day: date) -> MonthlyStatement:
    """The statement of the month that begins on this day: as far as it has gone, and without entries too."""
    assert first_day.day == 1, "a month begins on its first day"
    last_day = first_day.replace(day=monthrange(first_day.year, first_day.month)[1])
    days = _days(first_day, last_day)
    opening, *ends = cuts(user_id, [start_of(first_day), *(end_of(day) for day in days)])
    closing = ends[-1]
    moves = _moves(user_id, [opening, *ends])
    entries_count = closing.sequence - opening.sequence
    entries = Entry.objects.of_user(user_id).between(opening.sequence, closing.sequence).order_by("sequence")
    return MonthlyStatement(
        user_id=user_id,
        first_day=first_day,
        last_day=last_day,
        opening=opening.balance,
        closing=closing.balance,
        added=sum(move.added for move in moves),
        taken=sum(move.taken for move in moves),
        entries_count=entries_count,
        by_kind=_by_kind(moves),
        entries=tuple(entries) if entries_count <= ENTRIES_SHOWN_MAX else (),
        days=_day_lines(days, ends, moves),
    )


# --- Choosing ---------------------------------------------------------------------------------------


def _chosen(entries: EntryQuerySet, choice: Choice) -> EntryQuerySet:
    if choice.kinds:
        entries = entries.filter(kind__in=choice.kinds)
    if choice.product:
        entries = entries.filter(product=choice.product)
    if choice.feature:
        entries = entries.filter(feature=choice.feature)
    if choice.first_day:
        entries = entries.filter(created_at__gte=start_of(choice.first_day))
    if choice.last_day:
        entries = entries.filter(created_at__lt=end_of(choice.last_day))
    return entries


def _places(user_id: str, choice: Choice) -> tuple[int, int]:
    """Between which places of the history the days of a choice lie, so that no more of it is read."""
    # A little early: an entry may say a later time than the one after it.
    first = start_of(choice.first_day or date.min) - CLOCKS_APART
    last = end_of(choice.last_day or date.max)
    before, until = cuts(user_id, [first, last])
    return before.sequence, until.sequence


def _sequence_at(cursor: str, user_id: str) -> int:
    # Another wallet's entry is as unknown here as one that never was.
    entries = Entry.objects.filter(wallet_id=user_id, pk=row_id_of(cursor) or "")
    found = entries.values_list("sequence", flat=True).first()
    if found is None:
        raise InvalidCursor
    return found


# --- Adding up --------------------------------------------------------------------------------------

# The day's number, from 1, is the number of days' beginnings that an entry lies after.
MOVES = """
SELECT width_bucket(sequence - 1, %(places)s::bigint[]), kind, count(*),
       coalesce(sum(credits) FILTER (WHERE credits > 0), 0)::bigint,
       coalesce(-sum(credits) FILTER (WHERE credits < 0), 0)::bigint
  FROM wallet_entry
 WHERE wallet_id = %(user_id)s AND sequence > %(first)s AND sequence <= %(last)s
 GROUP BY 1, 2
 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class _Move:
    """What the entries of one kind did on one day of a month (numbered from 1)."""

    day_number: int
    kind: str
    entries: int
    added: int
    taken: int


def _moves(user_id: str, places: list[Cut]) -> list[_Move]:
    """What moved between each two neighbouring places."""
    sequences = [place.sequence for place in places]
    values: dict[str, Any] = {
        "user_id": user_id,
        "places": sequences,
        "first": sequences[0],
        "last": sequences[-1],
    }
    with connection.cursor() as cursor:
        cursor.execute(MOVES, values)
        return [_Move(*row) for row in cursor.fetchall()]


def _by_kind(moves: list[_Move]) -> list[KindTotal]:
    totals = []
    for kind in Entry.Kind:
        of_kind = [move for move in moves if move.kind == kind]
        if of_kind:
            credits = sum(move.added - move.taken for move in of_kind)
            totals.append(KindTotal(kind, sum(move.entries for move in of_kind), credits))
    return totals


def _day_lines(days: list[date], ends: list[Cut], moves: list[_Move]) -> list[DayLine]:
    lines = []
    for number, (day, end) in enumerate(zip(days, ends, strict=True), start=1):
        of_day = [move for move in moves if move.day_number == number]
        if of_day:
            added, taken = sum(move.added for move in of_day), sum(move.taken for move in of_day)
            lines.append(DayLine(day, added, taken, end.balance))
    return lines


def _days(first_day: date, last_day: date) -> list[date]:
    return [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]
