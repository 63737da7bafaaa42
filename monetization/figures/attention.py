"""What a creator should know first: one plain sentence of how things are, and what asks to be looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from django.db import connection
from django.db.models import Count, Q, Sum

from accounts.models import User
from foundation import money, words
from foundation.calendar import A_MOMENT, day_of, last_day_of, start_of, written
from monetization.figures import payers
from monetization.figures.stats import mrr_of
from monetization.models import Sponsor, Subscription, Tip

Kind = Literal["past_due", "double_booked", "starting", "ended", "unknown_interval", "no_stripe_id"]
SOON = timedelta(days=3)
NAMED_MAX = 3  # Of what one sentence names.
# A name between the two is laid out by itself: one that runs from right to left moves no word beside it. What
# it holds of their kind would end that too early, or never.
ISOLATE, END_OF_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
ISOLATES = str.maketrans("", "", "\u2066\u2067\u2068\u2069")
TIPS_COUNTED = (
    1000  # Of those without a Stripe id: whether it is more says nothing new, and would be read in vain.
)

# Nothing where no tip has one: then the creator has no Stripe ids to give. Both looks are into the index of
# ids.
WITHOUT_STRIPE_ID = """
SELECT count(*)
  FROM (SELECT FROM monetization_tip
         WHERE creator_id = %(creator)s AND stripe_payment_id IS NULL
           AND EXISTS (SELECT FROM monetization_tip
                        WHERE creator_id = %(creator)s AND stripe_payment_id IS NOT NULL)
         LIMIT %(limit)s) AS tips
"""


@dataclass(frozen=True)
class Line:
    """One thing to look at: a plain sentence that may quote names.

    `kind` says which list shows what it speaks of. `position` is that of placements where the line is of one
    position, else empty. Names are shortened and isolated (`quoted`), and the page escapes them.
    """

    kind: Kind
    sentence: str
    position: str = ""


def lines(creator: User, *, at: datetime) -> list[Line]:
    """What asks for attention at that moment, the most pressing first; only what applies. Three queries.

    Subscriptions past due with the month's worth at risk, per currency; positions that are sold twice over
    the same time from now on; placements that begin within three days or ended in the last three;
    subscriptions whose interval is not known; tips without a Stripe id, where others have one.
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
    """How the UTC month of `at` goes so far, in one sentence, over all currencies. Three queries.

    Tips are those recorded, new subscribers the readers who pay now and did not when the month began. Whoever
    pays in two currencies is one reader here.
    """
    month = start_of(day_of(at).replace(day=1))
    tips = Tip.objects.visible_to(creator).filter(created_at__gte=month, created_at__lte=at).count()
    groups = payers.at(creator, [month - A_MOMENT], by_currency=False).get("", [])
    readers = sum(group.readers for group in groups if group.pays_now and not group.paid[0])
    active = Sponsor.objects.visible_to(creator).in_state(Sponsor.State.ACTIVE, at)
    running = list(active.order_by("active_until", "pk"))
    parts = [
        *([counted(tips, "tip")] if tips else []),
        *([counted(readers, "new subscriber")] if readers else []),
        *(
            f"{quoted(each.sponsor_name)} {_where(each)} through {_last_day(each, at)}"
            for each in running[:NAMED_MAX]
        ),
        *([counted(more, "more sponsor")] if (more := len(running) - NAMED_MAX) > 0 else []),
    ]
    return f"This month: {', '.join(parts) or 'nothing yet'}."


def quoted(name: str) -> str:
    """A name within a sentence: of at most 60 characters, and of its own direction.

    >>> quoted("Acme Corp")
    '\\u2068Acme Corp\\u2069'
    """
    return f"{ISOLATE}{words.shortened(name.translate(ISOLATES), words.NAME_SHOWN)}{END_OF_ISOLATE}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s.

    >>> counted(1, "tip"), counted(1200, "tip")
    ('1 tip', '1,200 tips')
    """
    return f"{money.plain(number)} {noun}{'' if number == 1 else 's'}"


def _of_subscriptions(creator: User) -> tuple[list[Line], list[Line]]:
    paying = Subscription.objects.visible_to(creator).paying().order_by("currency")
    rows = paying.values("currency").annotate(
        late=Count("pk", filter=Q(status="past_due")),
        yearly=Sum("yearly_cents", filter=Q(status="past_due"), default=0),
        unknown=Count("pk", filter=Q(interval="unknown")),
    )
    late = unknown = 0
    at_risk = []
    for row in rows:
        late, unknown = late + row["late"], unknown + row["unknown"]
        if row["yearly"]:
            at_risk.append(money.amount(mrr_of(row["yearly"]), row["currency"]))
    worth = f": {listed(at_risk)} a month at risk" if at_risk else ""
    sentence = f"{counted(late, 'subscription')} {is_or_are(late)} past due{worth}."
    past_due = Line("past_due", sentence)
    not_known = f"no known billing period and {is_or_are(unknown)} not in MRR."
    has = "has" if unknown == 1 else "have"
    unknowns = Line("unknown_interval", f"{counted(unknown, 'subscription')} {has} {not_known}")
    return [past_due] if late else [], [unknowns] if unknown else []


def _double_booked(standing: list[Sponsor], at: datetime) -> Iterator[Line]:
    """A line for each position with overlaps, of the first span; the placements are by their beginning."""
    for position in Sponsor.Position:
        placements = [each for each in standing if each.position == position]
        if not (spans := _overlapping_spans(placements)):
            continue
        since, until = spans[0]
        shared = [each for each in placements if each.active_from < until and each.active_until > since]
        names = listed(list(dict.fromkeys(quoted(each.sponsor_name) for each in shared)))
        others = f", and {counted(len(spans) - 1, 'more time')}" if len(spans) > 1 else ""
        days = _span(day_of(since), last_day_of(until), today=day_of(at))
        where = "inline position" if position == Sponsor.Position.INLINE else position
        sentence = f"The {where} is double-booked {days}: {names}{others}."
        yield Line("double_booked", sentence, position)


def _overlapping_spans(placements: list[Sponsor]) -> list[tuple[datetime, datetime]]:
    """When more than one of them runs, in order, spans that touch as one; by their beginning as given."""
    spans: list[tuple[datetime, datetime]] = []
    reach = None  # Until when one of those before runs.
    for each in placements:
        if reach and each.active_from < reach:
            until = min(reach, each.active_until)
            if spans and each.active_from <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], until))
            else:
                spans.append((each.active_from, until))
        reach = max(reach, each.active_until) if reach else each.active_until
    return spans


def _starting(placements: list[Sponsor], at: datetime) -> Iterator[Line]:
    today = day_of(at)
    clauses = []
    for each in placements:
        days = (day_of(each.active_from) - today).days
        clauses.append(f"{quoted(each.sponsor_name)} starts {_ahead(days)} {_where(each)}")
    if clauses:
        yield Line("starting", _named(clauses, "more placement", "within 3 days"))


def _ended(placements: list[Sponsor], at: datetime) -> Iterator[Line]:
    today = day_of(at)
    latest = sorted(placements, key=lambda each: each.active_until, reverse=True)
    clauses = []
    for each in latest:
        days = (today - last_day_of(each.active_until)).days
        clauses.append(f"{quoted(each.sponsor_name)} ended {_ago(days)} {_where(each)}")
    if clauses:
        yield Line("ended", _named(clauses, "more placement", "in the last 3 days"))


def _without_stripe_id(creator: User) -> Iterator[Line]:
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_STRIPE_ID, {"creator": creator.pk, "limit": TIPS_COUNTED + 1})
        [count] = cursor.fetchone() or [0]
    if count:
        has = "has" if count == 1 else "have"
        tips = (
            counted(count, "tip") if count <= TIPS_COUNTED else f"More than {money.plain(TIPS_COUNTED)} tips"
        )
        yield Line("no_stripe_id", f"{tips} {has} no Stripe id.")


def is_or_are(number: int) -> str:
    """The verb behind so many."""
    return "is" if number == 1 else "are"


def listed(names: list[str]) -> str:
    """Some names in a sentence, the first few of many.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    if len(names) > NAMED_MAX:
        names = [*names[:NAMED_MAX], f"{len(names) - NAMED_MAX} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _named(clauses: list[str], noun: str, when: str) -> str:
    more = len(clauses) - NAMED_MAX
    others = [f"{counted(more, noun)} {when}"] if more > 0 else []
    return "; ".join([*clauses[:NAMED_MAX], *others]) + "."


def _ahead(days: int) -> str:
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def _where(sponsor: Sponsor) -> str:
    return "inline" if sponsor.position == Sponsor.Position.INLINE else f"in the {sponsor.position}"


def _last_day(sponsor: Sponsor, at: datetime) -> str:
    return written(last_day_of(sponsor.active_until), today=day_of(at))


def _span(first_day: date, last_day: date, *, today: date) -> str:
    last = written(last_day, today=today)
    if first_day == last_day:
        return f"on {last}"
    if (first_day.year, first_day.month) == (last_day.year, last_day.month):
        return f"from {first_day.day} to {last}"
    return f"from {written(first_day, today=today)} to {last}"
