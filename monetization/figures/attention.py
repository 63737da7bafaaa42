"""What a creator should see first: one sentence about the current month, and what needs attention."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from django.db import connection
from django.template.defaultfilters import pluralize

from accounts.models import User
from foundation import money
from foundation.calendar import day_of, last_day_of, written
from foundation.text import one_line
from foundation.words import NAME_SHOWN, NAMED_MAX, count, listed
from monetization import sponsors
from monetization.figures import payers, sums, unsettled
from monetization.figures.periods import Period
from monetization.figures.stats import mrr_of
from monetization.models import Sponsor

Kind = Literal["past_due", "double_booked", "starting", "ended", "unknown_interval", "no_stripe_id"]
# Lines of the first group are about money at risk. Those of the last are about records that lack something.
Group = Literal["risk", "soon", "bookkeeping"]
GROUPS: dict[Kind, Group] = {
    "past_due": "risk",
    "double_booked": "risk",
    "starting": "soon",
    "ended": "soon",
    "unknown_interval": "bookkeeping",
    "no_stripe_id": "bookkeeping",
}
SOON = timedelta(days=3)
# These two marks around a name isolate its text direction. So a name that is written from right to left does
# not change the order of the words beside it. `one_line` removes such marks inside a name, which would end
# the isolation too early, or never.
ISOLATE, END_OF_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
# Tips without a Stripe id are counted up to this number. Counting more takes time and tells nothing new.
TIPS_COUNTED = 1000
LONG_AGO = datetime.fromtimestamp(0, UTC)

# The count is 0 if none of the creator's tips has a Stripe id: this creator does not record Stripe ids. Each
# inner SELECT uses an index.
WITHOUT_STRIPE_ID = """
SELECT count(*),
       (SELECT max(created_at) FROM monetization_tip
         WHERE creator_id = %(creator)s AND stripe_payment_id IS NULL)
  FROM (SELECT FROM monetization_tip
         WHERE creator_id = %(creator)s AND stripe_payment_id IS NULL
           AND EXISTS (SELECT FROM monetization_tip
                        WHERE creator_id = %(creator)s AND stripe_payment_id IS NOT NULL)
         LIMIT %(limit)s) AS tips
"""


@dataclass(frozen=True)
class Line:
    """One thing that needs attention, as a plain sentence that may contain names.

    `kind` says which list shows the rows of the line. `position` is a position of placements if the line is
    about one position, else "". `number` is how many records a line of bookkeeping counts, and `newest` is
    when the newest of them came to lack something, or LONG_AGO if that is not known. Names are shortened and
    isolated (`quoted`). The page escapes them.
    """

    kind: Kind
    sentence: str
    position: str = ""
    number: int = 0
    newest: datetime = LONG_AGO

    @property
    def group(self) -> Group:
        return GROUPS[self.kind]


def lines(creator: User, *, at: datetime) -> list[Line]:
    """Return what needs attention at the moment `at`, the most urgent first. This takes three queries.

    The lines come in this order:
    - subscriptions past due, with the amount at risk each month, by currency;
    - positions that have two or more placements at the same time, now or later;
    - placements that begin within three days, then placements that ended in the last three days;
    - subscriptions with an unknown interval;
    - tips without a Stripe id, if other tips of the creator have one.
    """
    recent = Sponsor.objects.visible_to(creator).booked().filter(active_until__gt=at - SOON)
    placements = list(recent.order_by("active_from", "pk"))
    past_due, unknown = _of_subscriptions(creator)
    return [
        *past_due,
        *_double_booked([each for each in placements if each.active_until > at], at),
        *_starting([each for each in placements if at < each.active_from <= at + SOON], at),
        *_ended([each for each in placements if each.active_until <= at], at),
        *unknown,
        *_without_stripe_id(creator),
    ]


def summary(creator: User, *, at: datetime) -> str:
    """Return one sentence about the UTC month of `at` so far, over all currencies. This takes three queries.

    The sentence counts recorded tips and new subscribers. New subscribers are readers who pay now and did not
    pay when the month began. A reader who pays in two currencies counts once.
    """
    month = day_of(at).replace(day=1)
    so_far = Period("", month, day_of(at), "this month")
    tips = sum(each.tips for each in sums.by_currency(creator, so_far, at=at).values())
    found = payers.at(creator, [so_far.since], by_currency=False).get("")
    readers = found.joined(0) if found else 0
    active = Sponsor.objects.visible_to(creator).in_state(Sponsor.State.ACTIVE, at)
    running = list(active.order_by("active_until", "pk"))
    parts = [
        *([count(tips, "tip")] if tips else []),
        *([count(readers, "new subscriber")] if readers else []),
        *(
            f"{quoted(each.sponsor_name)} {_where(each)} "
            f"through {written(last_day_of(each.active_until), today=day_of(at))}"
            for each in running[:NAMED_MAX]
        ),
        *([count(more, "more sponsor")] if (more := len(running) - NAMED_MAX) > 0 else []),
    ]
    return f"This month: {', '.join(parts) or 'nothing yet'}."


def quoted(name: str) -> str:
    """Return a name for use in a sentence: at most 60 characters, with an isolated text direction.

    >>> quoted("Acme Corp")
    '\\u2068Acme Corp\\u2069'
    """
    return f"{ISOLATE}{one_line(name, NAME_SHOWN)}{END_OF_ISOLATE}"


def _of_subscriptions(creator: User) -> tuple[list[Line], list[Line]]:
    rows = unsettled.by_currency(creator)
    late = sum(row.past_due for row in rows.values())
    unknown = sum(row.of_unknown_interval for row in rows.values())
    newest = max((row.newest_unknown for row in rows.values() if row.newest_unknown), default=LONG_AGO)
    at_risk = [
        money.amount(mrr_of(row.yearly_cents_past_due), currency)
        for currency, row in rows.items()
        if row.yearly_cents_past_due
    ]
    worth = f": {listed(at_risk)} a month at risk" if at_risk else ""
    past_due = f"{count(late, 'subscription')} {pluralize(late, 'is,are')} past due{worth}."
    not_known = (
        f"{count(unknown, 'subscription')} {pluralize(unknown, 'has,have')} no known billing period "
        f"and {pluralize(unknown, 'is,are')} not in MRR."
    )
    return (
        [Line("past_due", past_due)] if late else [],
        [Line("unknown_interval", not_known, number=unknown, newest=newest)] if unknown else [],
    )


def _double_booked(standing: list[Sponsor], at: datetime) -> Iterator[Line]:
    """Yield a line for each position with overlapping placements. The line describes the first overlap.

    `standing` must be sorted by the beginning of the placements.
    """
    for position in Sponsor.Position:
        placements = [each for each in standing if each.position == position]
        if not (spans := _shared_spans(placements)):
            continue
        since, until = spans[0]
        shared = [each for each in placements if each.active_from < until and each.active_until > since]
        names = listed(list(dict.fromkeys(quoted(each.sponsor_name) for each in shared)))
        others = f", and {count(len(spans) - 1, 'more time')}" if len(spans) > 1 else ""
        days = _span(day_of(since), last_day_of(until), today=day_of(at))
        where = "inline position" if position == Sponsor.Position.INLINE else position
        sentence = f"The {where} is double-booked {days}: {names}{others}."
        yield Line("double_booked", sentence, position)


def _shared_spans(placements: list[Sponsor]) -> list[tuple[datetime, datetime]]:
    """Return the time spans in which two or more placements run, in order. Spans that touch are merged."""
    spans: list[tuple[datetime, datetime]] = []
    for earlier, later in sponsors.neighbours(placements):
        since, until = later.active_from, min(earlier.active_until, later.active_until)
        if spans and since <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], until))
        else:
            spans.append((since, until))
    return spans


def _starting(placements: list[Sponsor], at: datetime) -> Iterator[Line]:
    clauses = []
    for each in placements:
        days = (day_of(each.active_from) - day_of(at)).days
        ahead = {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")
        clauses.append(f"{quoted(each.sponsor_name)} starts {ahead} {_where(each)}")
    if clauses:
        yield Line("starting", _named(clauses, "within 3 days"))


def _ended(placements: list[Sponsor], at: datetime) -> Iterator[Line]:
    clauses = []
    for each in sorted(placements, key=lambda each: each.active_until, reverse=True):
        days = (day_of(at) - last_day_of(each.active_until)).days
        ago = {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")
        clauses.append(f"{quoted(each.sponsor_name)} ended {ago} {_where(each)}")
    if clauses:
        yield Line("ended", _named(clauses, "in the last 3 days"))


def _without_stripe_id(creator: User) -> Iterator[Line]:
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_STRIPE_ID, {"creator": creator.pk, "limit": TIPS_COUNTED + 1})
        number, newest = cursor.fetchone() or (0, LONG_AGO)
    if number:
        some = f"{count(number, 'tip')} {pluralize(number, 'has,have')}"
        if number > TIPS_COUNTED:
            some = f"More than {count(TIPS_COUNTED, 'tip')} have"
        yield Line("no_stripe_id", f"{some} no Stripe ID.", number=number, newest=newest)


def _named(clauses: list[str], when: str) -> str:
    more = len(clauses) - NAMED_MAX
    others = [f"{count(more, 'more placement')} {when}"] if more > 0 else []
    return "; ".join([*clauses[:NAMED_MAX], *others]) + "."


def _where(sponsor: Sponsor) -> str:
    return "inline" if sponsor.position == Sponsor.Position.INLINE else f"in the {sponsor.position}"


def _span(first_day: date, last_day: date, *, today: date) -> str:
    last = written(last_day, today=today)
    if first_day == last_day:
        return f"on {last}"
    if (first_day.year, first_day.month) == (last_day.year, last_day.month):
        return f"from {first_day.day} to {last}"
    return f"from {written(first_day, today=today)} to {last}"
