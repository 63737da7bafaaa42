"""Pages of the list of entries.

No index has entries in the order of their times, because every charge would pay for it. So the time is cut
into stretches, each with the number of its entries, and a page reads only the stretches that it is in. The
stored totals give the number of each closed day. In all other stretches the entries are counted, up to the
most that the list shows, and their credits are summed. These stretches are short near the present and grow
towards the past, so a few are enough for a busy and for a quiet ledger.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, reduce
from operator import or_
from typing import Any, cast

from django.core.paginator import Page
from django.db import connection, models
from django.db.models import Sum
from django.db.models.expressions import Col
from django.db.models.lookups import Lookup
from django.utils import timezone

from backoffice.lists.change_list import CEILING, CappedPaginator
from backoffice.lists.totals import Totals
from foundation import money
from foundation.calendar import FIRST_DAY, LAST_DAY, day_of, end_of, start_of
from wallet.books import days
from wallet.models import DayTotal, Entry, FeatureTotal

# Before and after the times of all entries.
LONG_AGO, FAR_AHEAD = start_of(FIRST_DAY), start_of(LAST_DAY)
SHORTEST, GROWTH = timedelta(minutes=15), 4
STRETCHES_MAX = 10  # The last one is older than seven years.
# A query reads at most so many ranges of time. A page has 50 rows, so only a file can need more.
RANGES_MAX = 50
# PostgreSQL does not know the result of a subquery when it plans, so it expects few entries and uses the
# index. Otherwise it would often read the table from its beginning until it has found enough, although all of
# them may be at the end.
SINCE, UNTIL = "created_at >= (SELECT %s::timestamptz)", "created_at < (SELECT %s::timestamptz)"
COUNT = """
SELECT {place}, count(*), coalesce(sum(credits), 0)
  FROM (SELECT credits FROM wallet_entry WHERE {conditions} LIMIT %s) AS counted
"""


@dataclass(frozen=True)
class Choice:
    """What the list shows: entries from `since` to before `until`, of a product, a feature and some kinds.

    None and kinds () mean all.
    """

    since: datetime = LONG_AGO
    until: datetime = FAR_AHEAD
    product: str | None = None
    feature: str | None = None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """The time from `since` to before `until`, and the number and the sum of the list's entries in it.

    If `is_cut`, there are more entries than were counted.
    """

    since: datetime
    until: datetime
    entries: int = 0
    credits: int = 0
    is_cut: bool = False


class EntryPaginator(CappedPaginator):
    """Pages of all entries, or of those of a time, a product, a feature, or kinds that include charges.

    Other lists of entries, such as those of one wallet, have an index and are read like all lists.
    """

    @cached_property
    def _counted(self) -> int:
        if self._choice is None:
            return super()._counted
        return min(sum(stretch.entries for stretch in self._stretches), CEILING + 1)

    @property
    def can_be_sorted(self) -> bool:
        return self._choice is None and super().can_be_sorted

    @property
    def known_count(self) -> int | None:
        """The number of all entries, also of more than the list shows: closed days have their totals."""
        if self._choice is None:
            return super().known_count
        is_cut = any(stretch.is_cut for stretch in self._stretches)
        return None if is_cut else sum(stretch.entries for stretch in self._stretches)

    def totals(self, totals: Totals) -> Sequence[str]:
        if self._choice is None:
            return super().totals(totals)
        if self.known_count is None:
            return ()
        return [f"{money.credits(sum(stretch.credits for stretch in self._stretches))} in total"]

    def page(self, number: Any) -> Page[Any]:
        if self._choice is None:
            return super().page(number)
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        rows, before = self._rows_around(first, last)
        return Page(rows[first - before : last - before], number, self)

    @property
    def all_rows(self) -> models.QuerySet[Any]:
        return super().all_rows if self._choice is None else self._rows_around(0, CEILING + 1)[0]

    # --- Internal ---

    @cached_property
    def _choice(self) -> Choice | None:
        return _choice_of(super().all_rows)

    @cached_property
    def _stretches(self) -> list[Stretch]:
        """The stretches with entries, in the order of the list."""
        found = [stretch for stretch in _stretches(cast(Choice, self._choice)) if stretch.entries]
        return found if super().all_rows.query.order_by[0] == "-created_at" else found[::-1]

    def _rows_around(self, first: int, last: int) -> tuple[models.QuerySet[Any], int]:
        """The rows of the stretches that have the places from `first` to before `last`.

        Also returns how many rows of the list are before them.
        """
        here: list[Stretch] = []
        before = passed = 0
        for stretch in self._stretches:
            if passed < last and passed + stretch.entries > first:
                before = before if here else passed
                here.append(stretch)
            passed += stretch.entries
        rows = super().all_rows
        if not here:
            return rows.none(), 0
        return rows.filter(_within(here)), before


def _choice_of(rows: models.QuerySet[Any]) -> Choice | None:
    """What a query of entries shows, if stretches of time serve it; otherwise None.

    They do if the query sorts by time and filters by time, product, feature and kind alone. Entries of other
    kinds than charges have an index with their order.
    """
    if rows.query.is_empty() or str(rows.query.order_by[0]).removeprefix("-") != "created_at":
        return None
    choice = Choice()
    for condition in rows.query.where.children:
        if not isinstance(condition, Lookup) or not isinstance(condition.lhs, Col):
            return None
        value = condition.rhs
        match condition.lhs.target.name, condition.lookup_name:
            case "created_at", "gte":
                choice = replace(choice, since=max(choice.since, value))
            case "created_at", "lt":
                choice = replace(choice, until=min(choice.until, value))
            case "product", "exact":
                choice = replace(choice, product=value)
            case "feature", "exact":
                choice = replace(choice, feature=value)
            case "kind", "exact":
                choice = replace(choice, kinds=(value,))
            case "kind", "in":
                choice = replace(choice, kinds=tuple(value))
            case _:
                return None
    return choice if not choice.kinds or Entry.Kind.DEDUCT in choice.kinds else None


# --- Stretches --------------------------------------------------------------------------------------


def _stretches(choice: Choice) -> list[Stretch]:
    """All of the chosen time, newest first."""
    closed = None if choice.feature is not None and days.lack_features() else days.last_closed()
    first = _midnight_from(max(start_of(closed[0]), choice.since)) if closed else choice.until
    last = start_of(day_of(min(end_of(closed[1]), choice.until))) if closed else choice.since
    if first >= last:
        return _counted(_growing(choice.since, choice.until), choice)
    *newer, older = _counted([*_growing(last, choice.until), Stretch(choice.since, first)], choice)
    return [*newer, *_from_totals(first, last, choice), older]


def _midnight_from(moment: datetime) -> datetime:
    """The first midnight that is not before a moment."""
    midnight = start_of(day_of(moment))
    return midnight if midnight == moment else end_of(day_of(moment))


def _growing(since: datetime, until: datetime) -> Iterator[Stretch]:
    """Stretches of this time, newest first, each four times as long as the one before."""
    present = min(timezone.now(), until)
    for number in range(STRETCHES_MAX):
        begin = present - SHORTEST * GROWTH**number
        if begin <= since:
            break
        yield Stretch(begin, until)
        until = begin
    yield Stretch(since, until)


def _from_totals(first: datetime, last: datetime, choice: Choice) -> Iterator[Stretch]:
    """A stretch for each closed day with entries of the list, newest first."""
    within = {"day_id__gte": day_of(first), "day_id__lt": day_of(last)}
    totals: models.QuerySet[Any] = DayTotal.objects.filter(**within)
    if choice.feature is not None:
        totals = FeatureTotal.objects.filter(**within, feature=choice.feature)
    if choice.product is not None:
        totals = totals.filter(product=choice.product)
    if choice.kinds:
        totals = totals.filter(kind__in=choice.kinds)
    numbers = (
        totals.order_by("-day_id")
        .values_list("day_id")
        .annotate(entries=Sum("entries"), credits=Sum("credits"))
    )
    yield from (Stretch(start_of(day), end_of(day), *sums) for day, *sums in numbers)


def _within(stretches: Iterable[Stretch]) -> models.Q:
    """The condition for the time of these stretches, in as few ranges as there are.

    No index has the features of entries. So entries between two of a rare feature are not read.
    """
    ranges: list[tuple[datetime, datetime]] = []
    for stretch in sorted(stretches, key=lambda each: each.since):
        since = ranges.pop()[0] if ranges and ranges[-1][1] == stretch.since else stretch.since
        ranges.append((since, stretch.until))
    if len(ranges) > RANGES_MAX:
        ranges = [(ranges[0][0], ranges[-1][1])]
    conditions = (models.Q(created_at__gte=since, created_at__lt=until) for since, until in ranges)
    return reduce(or_, conditions)


def _counted(stretches: Iterable[Stretch], choice: Choice) -> list[Stretch]:
    """These stretches with the numbers of their entries. All are counted by one query."""
    queries: list[str] = []
    values: list[Any] = []
    stretches = list(stretches)
    for place, stretch in enumerate(stretches):
        conditions: dict[str, Any] = {SINCE: stretch.since, UNTIL: stretch.until}
        if choice.product is not None:
            conditions["product = %s"] = choice.product
        if choice.feature is not None:
            conditions["feature = %s"] = choice.feature
        if choice.kinds:
            conditions["kind = ANY(%s)"] = list(choice.kinds)
        queries.append(COUNT.format(place=place, conditions=" AND ".join(conditions)))
        values += [*conditions.values(), CEILING + 1]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries), values)
        sums = {place: (entries, int(credits)) for place, entries, credits in cursor.fetchall()}
    return [
        replace(stretch, entries=entries, credits=credits, is_cut=entries > CEILING)
        for stretch, (entries, credits) in ((stretch, sums[place]) for place, stretch in enumerate(stretches))
    ]
