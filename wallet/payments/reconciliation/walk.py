"""Compare Stripe with the books day by day, and then ask Stripe about all that is still open.

Each UTC day is compared from both sides: what Stripe lists of it is looked up in the books, and what the
books have of it and Stripe has not listed is asked for by its id. So only the latest ids are in memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone

from foundation.calendar import DAY, FIRST_DAY, day_of, end_of, start_of
from wallet.books.models import Entry
from wallet.payments import stripe_lists
from wallet.payments.reconciliation import facts, movements, our_side, payments
from wallet.payments.reconciliation.findings import Finding, Task
from wallet.payments.stripe_lists import BALANCE_TRANSACTIONS, DISPUTES, REFUNDS, SESSIONS

Body = dict[str, Any]

# A session may be opened on one day and credited on the next one. So a run begins this much earlier.
OVERLAP = timedelta(days=1)
# So many findings are remembered, to report each one once, and so many sessions, to ask about each one once.
REMEMBERED_MAX = 100_000


@dataclass
class Walk:
    """One comparison, from `since` until now.

    `seen` counts the objects of Stripe that were compared, by their name. `unknown` counts what this code
    does not know, by a description. `on_page` is called after each answer of Stripe, with the number of new
    objects. `on_day` is called with the first day that is not compared yet. `reported` has the findings that
    are not reported again, as kind and id.
    """

    since: datetime
    applies: bool = False
    first_day: date | None = None
    on_page: Callable[[int], None] = lambda count: None
    on_day: Callable[[date], None] = lambda day: None
    seen: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    reported: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.task = Task(timezone.now(), applies=self.applies, on_answer=lambda: self.on_page(0))
        self.listed_from = max(self.since - OVERLAP, start_of(FIRST_DAY))
        self._paid: dict[str, None] = {}

    def findings(self) -> Iterator[Finding]:
        """Yield each difference once. Raises StripeOutOfReach if Stripe stops answering."""
        for finding in self._all():
            key = (finding.kind, finding.subject)
            if key in self.reported:
                continue
            if len(self.reported) < REMEMBERED_MAX:
                self.reported.add(key)
            yield finding

    def _all(self) -> Iterator[Finding]:
        today = day_of(self.task.at)
        first = max(day_of(self.listed_from), self.first_day or date.min)
        if first <= today:
            yield from self._days(first, today)
        yield from our_side.open_topups(
            self.task, listed_from=self.listed_from, on_sessions=self._count_sessions
        )
        for fact in facts.ALL:
            yield from our_side.open_facts(fact, self.listed_from, self.task)

    def _days(self, first: date, last: date) -> Iterator[Finding]:
        """Compare the days from `first` to `last`. Skip a period in which nothing happened."""
        start, end = max(start_of(first), self.listed_from), end_of(last)
        if first == last:  # To ask whether there is anything costs as many calls as to read the lists.
            yield from self._day(start, end)
            self._is_done(last)
            return
        is_quiet = _is_quiet(start, end)
        self.on_page(0)
        if is_quiet:
            self._is_done(last)
        else:
            middle = first + (last - first) // 2
            yield from self._days(first, middle)
            yield from self._days(middle + DAY, last)

    def _is_done(self, day: date) -> None:
        # More happens today, so a run that is continued tomorrow begins with this day.
        self.on_day(min(day + DAY, day_of(self.task.at)))

    def _day(self, start: datetime, end: datetime) -> Iterator[Finding]:
        for page in self._pages(SESSIONS, start, end):
            yield from payments.compared(page, self.task)
            self._remember(session["id"] for session in page if payments.is_paid_topup(session))
        for fact in facts.ALL:
            listed: set[str] = set()
            for page in self._pages(fact.kind, start, end):
                yield from facts.compared(fact, page, self.task)
                listed.update(each["id"] for each in page)
            yield from our_side.stored_facts(fact, start, end, self.task, listed=listed)
        for page in self._pages(BALANCE_TRANSACTIONS, start, end):
            yield from movements.compared(page, self.task, listed_from=self.listed_from, unknown=self.unknown)
        yield from our_side.credits_of(
            start,
            end,
            self.task,
            listed=self._paid.keys(),
            unknown=self.unknown,
            on_sessions=self._count_sessions,
        )
        yield from our_side.moves_of(start, end, self.task, listed_from=self.listed_from)

    def _remember(self, session_ids: Iterable[str]) -> None:
        """Remember sessions that were compared, so that Stripe is not asked about their credits again.

        A payment may be credited days after its session was opened. The oldest are forgotten first; asking
        about a session once more costs a call, and is no error.
        """
        self._paid.update(dict.fromkeys(session_ids))
        while len(self._paid) > REMEMBERED_MAX:
            del self._paid[next(iter(self._paid))]

    def _pages(self, kind: stripe_lists.Kind, start: datetime, end: datetime) -> Iterator[list[Body]]:
        for page in stripe_lists.pages(kind, first=start, end=end):
            self.seen[kind.name] += len(page)
            yield page
            self.on_page(len(page))

    def _count_sessions(self, count: int) -> None:
        self.seen[SESSIONS.name] += count
        self.on_page(count)


def _is_quiet(start: datetime, end: datetime) -> bool:
    """Return whether neither Stripe nor the books have anything of this period."""
    period = {"created_at__gte": start, "created_at__lt": end}
    kinds = [Entry.Kind.TOPUP, Entry.Kind.CLAWBACK, Entry.Kind.REINSTATEMENT]
    return not (
        Entry.objects.filter(kind__in=kinds, **period).exists()
        or any(fact.model.objects.filter(**period).exists() for fact in facts.ALL)
        or any(
            stripe_lists.has_any(kind, first=start, end=end)
            for kind in (BALANCE_TRANSACTIONS, SESSIONS, REFUNDS, DISPUTES)
        )
    )
