"""What happened to a creator in a week, as the weekly mail tells it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from foundation import money
from foundation.calendar import DAY, day_of, last_day_of
from foundation.text import one_line
from foundation.words import span_words
from monetization import mails
from monetization.figures import sums
from monetization.figures.periods import DAYS_OF_A_WEEK, Period
from monetization.figures.sums import Sums
from monetization.models import NAME_LENGTH, PLAN_LENGTH, Sponsor, SubscriptionEvent, Tip

WEEK = DAYS_OF_A_WEEK * DAY
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

    `sums` are of the currencies with tips or refunds in the week; `before` has those of the week before it.
    `without_a_mail` is how many of the tips had no mail of their own; `largest` are some of them.
    """

    sums: dict[str, Sums]
    before: dict[str, Sums] = field(default_factory=dict)
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


def news_of(creator: User, week: date, *, lock_tips: bool) -> News:
    """Return the news of the week that begins on this Monday, in seven to nine queries.

    With `lock_tips`, it locks the tips that it names until the end of the transaction. So an erasure or a
    hidden message either is seen here, or waits and then sees the mail.
    """
    period, following = _period(week), _period(week + WEEK)
    now = timezone.now()
    news = News(
        _with_money(sums.by_currency(creator, period, at=now)),
        before=_with_money(sums.by_currency(creator, _period(week - WEEK), at=now)),
    )
    _add_tips(news, creator, period, lock_tips=lock_tips)
    _add_subscriptions(news, creator, period)
    _add_sponsors(news, creator, following)
    return news


def _with_money(by_currency: dict[str, Sums]) -> dict[str, Sums]:
    return {code: each for code, each in sorted(by_currency.items()) if each.tips or each.refunds}


def _period(week: date) -> Period:
    return Period("7d", week, week + WEEK - DAY, f"the week of {week}")


def _add_tips(news: News, creator: User, period: Period, *, lock_tips: bool) -> None:
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
    largest = Tip.objects.filter(pk__in=[pk for pk, _ in rows]).order_by("pk")
    tips = {tip.pk: tip for tip in (largest.select_for_update(no_key=True) if lock_tips else largest)}
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
    shown = list(placements.order_by("active_from", "pk")[: SPONSORS_MAX + 1])
    for placement in shown[:SPONSORS_MAX]:
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
    if len(shown) > SPONSORS_MAX:
        news.sponsors.append("and others")
