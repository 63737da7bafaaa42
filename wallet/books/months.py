"""The ledger by month: what users held, what each kind of entry added or took, and by which feature.

A month is a UTC month, and an entry belongs to the month in which it was written, as with days. The figures
of a closed month are stored and final. Those of any other month are read from the totals of its closed days,
and from the entries of the days that are open.

An entry that comes into a closed month, as with a restore, is in no month. An operator books what the month
lacks with `book_late`; it counts in the month in which it is booked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import F, Sum

from foundation.calendar import DAY, add_months, day_of, end_of, start_of
from wallet.books.models import Entry
from wallet.books.totals import ClosedMonth, LateTotal, MonthTotal

# The lines of a month, in the order of its page. Every kind of entry is in exactly one line.
LINES: dict[str, tuple[Entry.Kind, ...]] = {
    "sold": (Entry.Kind.TOPUP,),
    "granted": (Entry.Kind.GRANT,),
    "used": (Entry.Kind.DEDUCT, Entry.Kind.CAPTURE),
    "given back": (Entry.Kind.REFUND,),
    "expired": (Entry.Kind.EXPIRY,),
    "clawed back": (Entry.Kind.CLAWBACK,),
    "reinstated": (Entry.Kind.REINSTATEMENT,),
    "adjusted": (Entry.Kind.ADJUSTMENT,),
}
# What features earned: what was used, less what was given back.
OF_FEATURES = (*LINES["used"], *LINES["given back"])

# The closed days whose features are added up. A day without entries has none.
FEATURED = """
     SELECT day FROM wallet_closedday closed
      WHERE day BETWEEN %(first_day)s AND %(last_day)s
        AND (entries = 0 OR EXISTS (SELECT FROM wallet_featuretotal WHERE day_id = closed.day))
"""

# In two halves, as `days.FLOWS`, and in one statement for the same reason.
PARTS = f"""
WITH featured AS MATERIALIZED ({FEATURED}),
began AS MATERIALIZED (SELECT min(day)::timestamp AS at FROM featured)
SELECT product, feature, kind, sum(credits)::bigint, sum(granted)::bigint, sum(entries)::bigint
  FROM (SELECT product, feature, kind, credits, granted, entries
          FROM wallet_featuretotal WHERE day_id IN (SELECT day FROM featured)
         UNION ALL
        SELECT product, feature, kind, credits, granted, entries
          FROM (SELECT (created_at AT TIME ZONE 'UTC')::date AS day, product, feature, kind,
                       sum(credits)::bigint AS credits, coalesce(sum(moved.granted), 0)::bigint AS granted,
                       count(*) AS entries
                  FROM wallet_entry
                  LEFT JOIN LATERAL (
                       SELECT sum(credits) AS granted FROM wallet_lotmove
                        WHERE wallet_lotmove.wallet_id = wallet_entry.wallet_id
                          AND wallet_lotmove.sequence = wallet_entry.sequence) AS moved ON true
                 WHERE created_at >= %(since)s
                       AND created_at < (SELECT coalesce(at AT TIME ZONE 'UTC', %(until)s) FROM began)
                    OR created_at < %(until)s
                       AND created_at >= (
                           SELECT min(each) AT TIME ZONE 'UTC'
                             FROM began, generate_series(at, %(last_day)s::timestamp, '1 day') AS each
                            WHERE NOT EXISTS (SELECT FROM featured WHERE day = each::date))
                 GROUP BY 1, 2, 3, 4) AS live
         WHERE NOT EXISTS (SELECT FROM featured WHERE featured.day = live.day)) AS part
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
"""  # noqa: S608 (made of texts of this module)

# What the days of a month add up to, and a day of it that is missing. All days are those from the first
# closed day on, and each must have its features.
ADDED_UP = f"""
featured AS MATERIALIZED ({FEATURED}),
missing AS MATERIALIZED (
     SELECT each
       FROM generate_series(
                   greatest(%(first_day)s::date, (SELECT min(day) FROM wallet_closedday))::timestamp,
                   %(last_day)s::timestamp, '1 day') AS each
      WHERE NOT EXISTS (SELECT FROM featured WHERE day = each::date)
      LIMIT 1),
parts AS MATERIALIZED (
     SELECT product, feature, kind, sum(credits)::bigint AS credits, sum(granted)::bigint AS granted,
            sum(entries)::bigint AS entries
       FROM wallet_featuretotal
      WHERE day_id BETWEEN %(first_day)s AND %(last_day)s
      GROUP BY 1, 2, 3)
"""  # noqa: S608 (made of texts of this module)

# One statement reads one snapshot, so a month is closed with the totals of all of its days or not at all,
# also while `close_days --again` forgets days. If two processes close the same month, one waits for the other
# and then writes nothing. What was booked late counts in the month in which it was booked.
CLOSE = f"""
WITH {ADDED_UP},
moved AS (
     SELECT month, credits, granted FROM wallet_monthtotal
      UNION ALL
     SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date, credits, granted FROM wallet_latetotal),
before AS (
     SELECT opening + sum(coalesce(credits, 0)) AS opening,
            opening_granted + sum(coalesce(granted, 0)) AS opening_granted
       FROM wallet_closedmonth closed LEFT JOIN moved USING (month)
      WHERE closed.month = %(month_before)s
      GROUP BY closed.id),
closed AS (
     INSERT INTO wallet_closedmonth (month, opening, opening_granted, entries)
     SELECT %(first_day)s, coalesce((SELECT opening FROM before), 0),
            coalesce((SELECT opening_granted FROM before), 0), coalesce((SELECT sum(entries) FROM parts), 0)
      WHERE NOT EXISTS (SELECT FROM missing)
     ON CONFLICT (month) DO NOTHING
     RETURNING month),
kept AS (
     INSERT INTO wallet_monthtotal (month, product, feature, kind, credits, granted, entries)
     SELECT closed.month, parts.* FROM closed CROSS JOIN parts)
SELECT month FROM closed
"""  # noqa: S608 (made of texts of this module)

# What the days of a closed month have more, or less, than the month and what was booked late of it.
LACKING = f"""
WITH {ADDED_UP},
each AS (
     SELECT product, feature, kind, credits, granted, entries FROM parts
      UNION ALL
     SELECT product, feature, kind, -credits, -granted, -entries
       FROM wallet_monthtotal WHERE month = %(first_day)s
      UNION ALL
     SELECT product, feature, kind, -credits, -granted, -entries
       FROM wallet_latetotal WHERE month = %(first_day)s)
SELECT product, feature, kind, sum(credits)::bigint, sum(granted)::bigint, sum(entries)::bigint
  FROM each
 WHERE NOT EXISTS (SELECT FROM missing)
   AND EXISTS (SELECT FROM wallet_closedmonth WHERE month >= %(first_day)s)
 GROUP BY 1, 2, 3
HAVING sum(credits) <> 0 OR sum(granted) <> 0 OR sum(entries) <> 0
 ORDER BY 1, 2, 3
"""  # noqa: S608 (made of texts of this module)
BOOK = f"""
INSERT INTO wallet_latetotal
       (product, feature, kind, credits, granted, entries, month, number, booked_by, reason)
SELECT lacking.*, %(first_day)s,
       (SELECT coalesce(max(number), 0) + 1 FROM wallet_latetotal WHERE month = %(first_day)s),
       %(booked_by)s, %(reason)s
  FROM ({LACKING}) AS lacking
RETURNING product, feature, kind, credits, granted, entries
"""  # noqa: S608 (made of texts of this module)

# The month of the first entry. No index has the order of the times, so it is found as in `days.OPEN_DAYS`.
FIRST_MONTH = """
WITH closed AS (SELECT min(day)::timestamp AT TIME ZONE 'UTC' AS began FROM wallet_closedday),
written AS (
     SELECT min(created_at) AS began
       FROM wallet_entry
      WHERE created_at >= '-infinity'
        AND created_at <= (SELECT least(created_at, began) FROM wallet_entry, closed ORDER BY id LIMIT 1))
SELECT date_trunc('month', least(closed.began, written.began) AT TIME ZONE 'UTC')::date FROM closed, written
"""


@dataclass(frozen=True)
class Part:
    """The sum of the entries of one product, feature and kind in a month.

    `credits` is positive if credits were added and negative if they were taken. `granted` is the part of it
    that was of grants. `entries` is a count.
    """

    product: str
    feature: str
    kind: str
    credits: int
    granted: int
    entries: int


@dataclass(frozen=True)
class Total:
    """What several parts add up to."""

    credits: int = 0
    granted: int = 0
    entries: int = 0

    @property
    def paid(self) -> int:
        """The part of the credits that was not of grants."""
        return self.credits - self.granted


def sum_of(parts: Iterable[Part | LateTotal]) -> Total:
    """Return what these parts add up to."""
    rows = [(part.credits, part.granted, part.entries) for part in parts]
    return Total(*map(sum, zip(*rows, strict=True)))


@dataclass(frozen=True)
class Month:
    """A month of the ledger, in credits. `closed_at` is None while the month is not closed.

    `opening` is what all balances came to when the month began, debts subtracted, and `opening_granted` the
    part of it that was of grants. `late` are entries of earlier, closed months that were booked in this one.
    """

    first_day: date
    opening: int
    opening_granted: int
    parts: list[Part]
    closed_at: datetime | None = None
    late: list[LateTotal] = field(default_factory=list)

    @property
    def last_day(self) -> date:
        return last_day_of(self.first_day)

    @property
    def moved(self) -> Total:
        """What all entries of the month add up to."""
        return sum_of(self.parts)

    @property
    def booked(self) -> Total:
        """What the late entries of earlier months add up to."""
        return sum_of(self.late)

    @property
    def begins(self) -> Total:
        """What all balances came to when the month began."""
        return Total(self.opening, self.opening_granted)

    @property
    def ends(self) -> Total:
        """What all balances came to when the month ended, or now."""
        credits, granted = self.moved.credits + self.booked.credits, self.moved.granted + self.booked.granted
        return Total(self.opening + credits, self.opening_granted + granted)

    def line(self, name: str) -> Total:
        """Return what the entries of a line add up to; the name is one of LINES."""
        return sum_of(part for part in self.parts if part.kind in LINES[name])

    def features(self) -> dict[tuple[str, str], list[Part]]:
        """Return the charges, and what was given back of charges, by product and feature, sorted."""
        found: dict[tuple[str, str], list[Part]] = {}
        for part in self.parts:
            if part.kind in OF_FEATURES:
                found.setdefault((part.product, part.feature), []).append(part)
        return found


def last_day_of(month: date) -> date:
    """Return the last day of the month that begins on this day."""
    return add_months(month, 1) - DAY


def first_month() -> date | None:
    """Return the first day of the month of the first entry; None without entries."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_MONTH)
        [(month,)] = cursor.fetchall()
    return month


def close_months() -> list[date]:
    """Close each finished month whose days are all closed, oldest first. Return the first day of each.

    A month is closed once and stays as it is. Each is a transaction of its own. It is safe to call this
    function again, also from two processes at the same time: only one of them closes each month.
    """
    closed = []
    while (month := _first_open()) and _close(month):
        closed.append(month)
    return closed


def month_of(first_day: date) -> Month:
    """Return the month that begins on this day: as it was closed, or as far as it is written."""
    if closed := ClosedMonth.objects.filter(month=first_day).first():
        totals = MonthTotal.objects.filter(month=first_day).order_by("product", "feature", "kind")
        parts = [Part(*row) for row in totals.values_list(*Part.__annotations__)]
        late = _booked_in(first_day)
        return Month(first_day, closed.opening, closed.opening_granted, parts, closed.closed_at, late)
    opening, granted = _opening(first_day)
    parts = _parts(first_day, last_day_of(first_day))
    return Month(first_day, opening, granted, parts, late=_booked_in(first_day))


def late_of(month: date) -> list[LateTotal]:
    """Return what came into a month after it was closed and was booked in a later one, oldest first."""
    return list(LateTotal.objects.filter(month=month).order_by("number", "product", "feature", "kind"))


def lacking(month: date) -> list[Part]:
    """Return what the days of a closed month have besides its figures and what was booked late of it.

    A month before the first closed one has no figures. It is [] for a month after the last closed one, and
    while one of its days is open. The parts are below 0 for
    entries that are gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(LACKING, _days_of(month))
        return [Part(*row) for row in cursor.fetchall()]


def book_late(month: date, *, booked_by: str, reason: str) -> list[Part]:
    """Book what a closed month lacks in the month of now, and return it. The closed month stays as it is.

    It returns [] if the month lacks nothing. Raises IntegrityError if another process books the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(BOOK, _days_of(month) | {"booked_by": booked_by, "reason": reason})
        return [Part(*row) for row in cursor.fetchall()]


def newest(count: int, *, now: datetime, until: date | None = None) -> list[Month]:
    """Return so many months, newest first, from the month of `until` on, by default that of `now`.

    The parts of a closed month are by kind alone. Closed months are read in three queries; each other month
    takes one more.
    """
    first = first_month()
    if first is None:
        return []
    month = min(until or day_of(now), day_of(now)).replace(day=1)
    wanted: list[date] = []
    while month >= first and len(wanted) < count:
        wanted.append(month)
        month = add_months(month, -1)
    closed = ClosedMonth.objects.in_bulk(wanted, field_name="month")
    parts: dict[date, list[Part]] = {}
    by_kind = MonthTotal.objects.filter(month__in=closed).values_list("month", "kind")
    sums = by_kind.annotate(Sum("credits"), Sum("granted"), Sum("entries"))
    for of_month, kind, credits, granted, entries in sums.order_by("month", "kind"):
        parts.setdefault(of_month, []).append(Part("", "", kind, credits, granted, entries))
    late = _booked_since(wanted[-1]) if wanted else {}
    found: list[Month] = []
    for each in reversed(wanted):
        booked = late.get(each, [])
        if row := closed.get(each):
            theirs = parts.get(each, [])
            found.append(Month(each, row.opening, row.opening_granted, theirs, row.closed_at, booked))
        elif found:
            begins, theirs = found[-1].ends, _parts(each, last_day_of(each))
            found.append(Month(each, begins.credits, begins.granted, theirs, late=booked))
        else:
            found.append(month_of(each))
    return found[::-1]


def _opening(month: date) -> tuple[int, int]:
    """Return what all balances came to when a month began, and the part of it that was of grants."""
    last = ClosedMonth.objects.filter(month__lt=month).order_by("-month").first()
    opening, granted = 0, 0
    first = first_month()
    booked = LateTotal.objects.filter(created_at__lt=start_of(month))
    if last:
        booked = booked.filter(created_at__gte=start_of(last.month))
        totals = MonthTotal.objects.filter(month=last.month)
        moved = totals.aggregate(credits=Sum("credits", default=0), granted=Sum(F("granted"), default=0))
        opening, granted = last.opening + moved["credits"], last.opening_granted + moved["granted"]
        first = add_months(last.month, 1)
    if first and first < month:
        parts = _parts(first, month - DAY)
        opening += sum(part.credits for part in parts)
        granted += sum(part.granted for part in parts)
    late = sum_of(booked)
    return opening + late.credits, granted + late.granted


def _booked_in(month: date) -> list[LateTotal]:
    return _booked_since(month).get(month, [])


def _booked_since(month: date) -> dict[date, list[LateTotal]]:
    """Return what was booked late in a month or after it, by the month in which it was booked."""
    found: dict[date, list[LateTotal]] = {}
    rows = LateTotal.objects.filter(created_at__gte=start_of(month))
    for each in rows.order_by("month", "number", "product", "feature", "kind"):
        found.setdefault(each.booked_in, []).append(each)
    return found


def _parts(first_day: date, last_day: date) -> list[Part]:
    values: dict[str, Any] = {"first_day": first_day, "last_day": last_day}
    with connection.cursor() as cursor:
        cursor.execute(PARTS, values | {"since": start_of(first_day), "until": end_of(last_day)})
        return [Part(*row) for row in cursor.fetchall()]


def _first_open() -> date | None:
    """Return the month that is closed next; None without entries."""
    last = ClosedMonth.objects.order_by("-month").values_list("month", flat=True).first()
    return add_months(last, 1) if last else first_month()


def _close(month: date) -> bool:
    """Close a month if all of its days are closed. Return whether this call has closed it."""
    with connection.cursor() as cursor:
        cursor.execute(CLOSE, _days_of(month) | {"month_before": add_months(month, -1)})
        return cursor.fetchone() is not None


def _days_of(month: date) -> dict[str, Any]:
    return {"first_day": month, "last_day": last_day_of(month)}
