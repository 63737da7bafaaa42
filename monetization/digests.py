"""The weekly mail to a creator who wants the tips of a week in one mail, instead of a mail about each tip.

`manage.py send_mail` writes the mail about a week (Monday to Sunday, UTC) from Monday, 01:10 UTC on. It has
the figures of the whole week, and names the largest tips. A tip that had a mail of its own is not named
again. A tip recorded while the choice is "once a week" is in the mail about its week, even if the creator
chooses "each time" before Monday. If the creator chooses "none" before, no mail is written.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts.mail import outbox
from accounts.mail.models import OutgoingMail
from accounts.models import User
from foundation import money
from foundation.calendar import DAY, day_of, last_day_of
from foundation.database.transactions import retried
from foundation.text import one_line
from foundation.words import count, span_words
from monetization import mails
from monetization.days.closing import SETTLING
from monetization.figures import sums
from monetization.figures.periods import DAYS_OF_A_WEEK, Period, beginning_of
from monetization.figures.sums import Sums
from monetization.models import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    PLAN_LENGTH,
    Digest,
    Sponsor,
    SubscriptionEvent,
    Tip,
)

FACT = "tip_digest"
WEEK = DAYS_OF_A_WEEK * DAY
# How many weeks before the last one still get a digest, if none could be written for long. The mails about
# single tips are kept for 30 days, and they say which tips had a mail of their own.
LATE_MAX = 2 * WEEK
WRITTEN_AT_ONCE = 1000
NAMED_OF_A_CURRENCY, NAMED_MAX, PLANS_MAX, SPONSORS_MAX = 3, 10, 5, 10
Kind = SubscriptionEvent.Kind

# The largest tips of a week that had no mail of their own, and how many of these tips there are.
WITHOUT_A_MAIL = """
SELECT id, number
  FROM (SELECT id, currency, count(*) OVER () AS number,
               row_number() OVER (PARTITION BY currency ORDER BY gross_cents DESC, created_at, id) AS place
          FROM monetization_tip tip
         WHERE creator_id = %(creator)s AND created_at >= %(since)s AND created_at < %(until)s
           AND NOT EXISTS (SELECT FROM accounts_outgoingmail WHERE fact = %(kind)s || ':' || tip.id)) AS tips
 WHERE place <= %(of_a_currency)s
 ORDER BY place, currency
 LIMIT %(named)s
"""


@dataclass
class News:
    """What happened to a creator in a week, and which placements begin or end in the week after it.

    `without_a_mail` is how many of the tips had no mail of their own; `largest` are some of them.
    """

    sums: dict[str, Sums]
    without_a_mail: int = 0
    largest: list[Tip] = field(default_factory=list)
    subscriptions: Counter[str] = field(default_factory=Counter)
    plans: dict[str, list[str]] = field(default_factory=dict)
    sponsors: list[str] = field(default_factory=list)

    @property
    def tips(self) -> int:
        """How many tips the week has."""
        return sum(each.tips for each in self.sums.values())

    def is_worth_a_mail(self, *, is_weekly: bool) -> bool:
        """Return whether the creator has not read all of this in other mails."""
        if not is_weekly:
            return bool(self.without_a_mail)
        refunds = sum(each.refunds for each in self.sums.values())
        return bool(self.without_a_mail or refunds or self.subscriptions or self.sponsors)


def register() -> None:
    """Let `manage.py send_mail` write the digests."""
    outbox.WRITERS.append(write_due)


# --- Writing ------------------------------------------------------------------------------------------


def write_due() -> outbox.Written:
    """Write up to 1000 digests of finished weeks. It is safe to run this twice at the same time."""
    due = Digest.objects.filter(next_week__lte=last_week())
    # In a random order, so that digests that cannot be written do not stand before all others for ever.
    ids = list(due.order_by("?").values_list("pk", flat=True)[:WRITTEN_AT_ONCE])
    return outbox.write_each(ids, write_next)


def last_week() -> date:
    """Return the Monday of the last week whose tips are all recorded.

    A tip may be dated up to an hour before it is recorded. The database's clock decides, because the clock of
    this host may be hours ahead.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT least(%s, now())", [timezone.now()])
        [at] = cursor.fetchone()
    return beginning_of(day_of(at - SETTLING), "week") - WEEK


@retried
@transaction.atomic
def write_next(creator_id: str) -> bool:
    """Write the creator's next digest, if its week is over and has news. Return whether it was written."""
    # Locked first, so the choice does not change before the end of this transaction.
    creator = User.objects.select_for_update(no_key=True).get(pk=creator_id)
    last = last_week()
    digest = Digest.objects.select_for_update().filter(pk=creator_id, next_week__lte=last).first()
    if digest is None:
        return False
    week = max(digest.next_week, last - LATE_MAX)
    is_weekly = outbox.is_weekly(creator, mails.TIP)
    if is_weekly or week < last:
        digest.next_week = week + WEEK
        digest.save(update_fields=["next_week"])
    else:
        digest.delete()
    if not outbox.wants(creator, mails.TIP):
        return False
    news = _news(creator, week)
    return news.is_worth_a_mail(is_weekly=is_weekly) and outbox.write(
        user=creator,
        to=creator.email,
        kind=mails.TIP,
        fact=f"{FACT}:{week}:{creator_id}",
        **_letter(news, week),
    )


def write_waiting_again(creator: User) -> None:
    """Write the creator's waiting digests again, without what was hidden or erased in this transaction.

    A digest that another process is writing now waits for the rows of the tips that it names.
    """
    waiting = OutgoingMail.objects.filter(user=creator, state="waiting", fact__startswith=f"{FACT}:")
    for mail in waiting.select_for_update(no_key=True).order_by("pk"):
        week = date.fromisoformat(mail.fact.split(":")[1])
        outbox.write_again(mail, **_letter(_news(creator, week), week))


# --- Reading ------------------------------------------------------------------------------------------


def _news(creator: User, week: date) -> News:
    period, following = _period(week), _period(week + WEEK)
    by_currency = sums.by_currency(creator, period, at=timezone.now())
    news = News({code: each for code, each in sorted(by_currency.items()) if each.tips or each.refunds})
    _add_tips(news, creator, period)
    _add_subscriptions(news, creator, period)
    _add_sponsors(news, creator, following)
    return news


def _period(week: date) -> Period:
    return Period("7d", week, week + WEEK - DAY, f"the week of {week}")


def _add_tips(news: News, creator: User, period: Period) -> None:
    values: dict[str, Any] = {
        "creator": creator.pk,
        "since": period.since,
        "until": period.until,
        "kind": mails.TIP,
        "of_a_currency": NAMED_OF_A_CURRENCY,
        "named": NAMED_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_A_MAIL, values)
        rows = cursor.fetchall()
    news.without_a_mail = rows[0][1] if rows else 0
    # Locked, so an erasure or a hidden message either is seen here, or waits and then sees the mail.
    locked = Tip.objects.select_for_update(no_key=True).filter(pk__in=[pk for pk, _ in rows])
    tips = {tip.pk: tip for tip in locked.order_by("pk")}
    news.largest = [tips[pk] for pk, _ in rows]


def _add_subscriptions(news: News, creator: User, period: Period) -> None:
    events = SubscriptionEvent.objects.filter(
        creator=creator,
        kind__in=[Kind.CREATED, Kind.CANCELLED],
        created_at__gte=period.since,
        created_at__lt=period.until,
    )
    news.subscriptions = Counter(dict(events.values_list("kind").annotate(Count("pk"))))
    terms = events.values_list("kind", "plan", "amount_cents", "currency").annotate(number=Count("pk"))
    for kind in news.subscriptions:
        most = terms.filter(kind=kind).order_by("-number", "plan", "currency", "amount_cents")[:PLANS_MAX]
        news.plans[kind] = [
            f"{number} × {one_line(plan, PLAN_LENGTH)}, {money.amount(cents, currency)}"
            for _, plan, cents, currency, number in most
        ]


def _add_sponsors(news: News, creator: User, period: Period) -> None:
    begins = Q(active_from__gte=period.since, active_from__lt=period.until)
    ends = Q(active_until__gt=period.since, active_until__lte=period.until)
    placements = Sponsor.objects.visible_to(creator).booked().filter(begins | ends)
    for placement in placements.order_by("active_from", "pk")[:SPONSORS_MAX]:
        first, last = day_of(placement.active_from), last_day_of(placement.active_until)
        name, position = (
            one_line(placement.sponsor_name, NAME_LENGTH),
            placement.get_position_display().lower(),
        )
        days = span_words(first, last, today=period.first_day)
        starts_and_ends = [
            word
            for word, day in (("starts", first), ("ends", last))
            if period.first_day <= day <= period.last_day
        ]
        news.sponsors.append(f"{name} ({position}) {' and '.join(starts_and_ends)}: {days}")


# --- Texts --------------------------------------------------------------------------------------------


def _letter(news: News, week: date) -> outbox.Letter:
    days = span_words(week, week + WEEK - DAY, today=week)
    new, ended = news.subscriptions[Kind.CREATED], news.subscriptions[Kind.CANCELLED]
    parts = [count(news.tips, "tip")] if news.tips else []
    parts += [count(new, "new subscription")] if new else []
    had_a_mail = news.tips - news.without_a_mail
    return {
        "subject": f"Your week, {days}: {', '.join(parts)}" if parts else f"Your week, {days}",
        "template": "monetization/mail/digest",
        "context": {
            "days": days,
            "year": week.year,
            "currencies": [_amounts(code, each) for code, each in news.sums.items()],
            "largest": [_named(tip) for tip in news.largest],
            "had_a_mail": had_a_mail and count(had_a_mail, "tip"),
            "new": count(new, "new subscription") if new else "",
            "new_plans": news.plans.get(Kind.CREATED, []),
            "ended": count(ended, "ended subscription") if ended else "",
            "ended_plans": news.plans.get(Kind.CANCELLED, []),
            "sponsors": news.sponsors,
            "next_days": span_words(week + WEEK, week + 2 * WEEK - DAY, today=week),
        },
    }


def _amounts(code: str, each: Sums) -> dict[str, str]:
    kept = each.net_cents - (each.refunded_cents - each.fee_returned_cents)
    return {
        "currency": code,
        "tips": count(each.tips, "tip"),
        "gross": money.amount(each.gross_cents, code),
        "fee": money.amount(-each.fee_cents, code),
        "refunded": money.amount(-each.refunded_cents, code) if each.refunds else "",
        "refunds": count(each.refunds, "refund"),
        "fee_returned": money.amount(each.fee_returned_cents, code) if each.fee_returned_cents else "",
        "kept": money.amount(kept, code),
    }


def _named(tip: Tip) -> dict[str, Any]:
    lines = tip.shown_message.strip().splitlines()
    return {
        "id": tip.pk,
        "amount": money.amount(tip.gross_cents, tip.currency),
        "name": one_line(tip.name, NAME_LENGTH) or "a reader",
        "lines": [one_line(line, MESSAGE_LENGTH) for line in lines],
    }
