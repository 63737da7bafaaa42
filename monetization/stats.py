"""What a creator earned, by the definitions of docs/monetization.md, per currency, in a handful of queries.

A window is whole days in UTC, today's included: `7d` begins six midnights ago. Amounts of different
currencies are never added.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from monetization.models import Refund, Sponsor, Subscription, Tip

PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
CHURN_DAYS = 30


@dataclass(frozen=True)
class Churn:
    """How many of the readers who paid 30 days ago pay no longer."""

    left: int = 0
    of: int = 0

    @property
    def percent(self) -> float | None:
        """0 to 100, one decimal, half up; None where nobody paid 30 days ago, since 0 would be a claim."""
        if not self.of:
            return None
        return (2000 * self.left + self.of) // (2 * self.of) / 10


@dataclass
class Figures:
    """One currency's figures. Amounts are in its smallest unit.

    Gross, fee and net are of the tips recorded in the window; refunds count on the day they happen and never
    change that day's tips. `net_cents` is before the payment processor's own fee, which is not known here.
    Sponsors are booked, not received: the prices of placements that begin in the window and were not
    cancelled. MRR, at risk, subscribers and churn are of now, whatever the window.
    """

    gross_cents: int = 0
    fee_cents: int = 0
    net_cents: int = 0
    tips: int = 0
    refunded_cents: int = 0
    fee_returned_cents: int = 0
    sponsors_booked: int = 0
    sponsors_booked_cents: int = 0
    mrr_cents: int = 0
    at_risk_cents: int = 0
    paying_subscribers: int = 0
    subscriptions_of_unknown_interval: int = 0
    churn: Churn = field(default_factory=Churn)

    @property
    def net_after_refunds_cents(self) -> int:
        """What is left for the creator: the net less what refunds took of it."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)


@dataclass(frozen=True)
class Stats:
    """A creator's figures by currency, and the window they are of."""

    period: str
    since: datetime
    until: datetime
    currencies: dict[str, Figures]


def of_creator(creator: User, *, period: str = "30d") -> Stats:
    """A creator's figures for one of PERIODS, until now."""
    now = timezone.now()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=PERIODS[period] - 1)
    found: dict[str, Figures] = {}
    _add_tips(found, creator, since)
    _add_refunds(found, creator, since)
    _add_sponsors(found, creator, since, midnight + timedelta(days=1))
    _add_subscriptions(found, creator)
    _add_readers(found, creator, now - timedelta(days=CHURN_DAYS))
    return Stats(period, since, now, dict(sorted(found.items())))


def mrr_of(yearly_cents: int) -> int:
    """A month of what comes in a year, rounded half up, once."""
    return (yearly_cents + 6) // 12


def _add_tips(found: dict[str, Figures], creator: User, since: datetime) -> None:
    tips = Tip.objects.visible_to(creator).filter(created_at__gte=since).order_by()
    sums = tips.values("currency").annotate(
        count=Count("pk"), gross=Sum("gross_cents"), fee=Sum("fee_cents"), net=Sum("net_cents")
    )
    for row in sums:
        figures = _of(found, row["currency"])
        figures.tips = row["count"]
        figures.gross_cents, figures.fee_cents, figures.net_cents = row["gross"], row["fee"], row["net"]


def _add_refunds(found: dict[str, Figures], creator: User, since: datetime) -> None:
    refunds = Refund.objects.filter(creator=creator, created_at__gte=since).order_by()
    for row in refunds.values("currency").annotate(back=Sum("amount_cents"), fee=Sum("fee_returned_cents")):
        figures = _of(found, row["currency"])
        figures.refunded_cents, figures.fee_returned_cents = row["back"], row["fee"]


def _add_sponsors(found: dict[str, Figures], creator: User, since: datetime, until: datetime) -> None:
    booked = Sponsor.objects.visible_to(creator).booked().order_by()
    begun = booked.filter(active_from__gte=since, active_from__lt=until)
    for row in begun.values("currency").annotate(count=Count("pk"), price=Coalesce(Sum("price_cents"), 0)):
        figures = _of(found, row["currency"])
        figures.sponsors_booked, figures.sponsors_booked_cents = row["count"], row["price"]


def _add_subscriptions(found: dict[str, Figures], creator: User) -> None:
    paying = Subscription.objects.visible_to(creator).paying().order_by()
    sums = paying.values("currency").annotate(
        yearly=Sum("yearly_cents"),
        at_risk=Coalesce(Sum("yearly_cents", filter=Q(status="past_due")), 0),
        unknown=Count("pk", filter=Q(interval="unknown")),
    )
    for row in sums:
        figures = _of(found, row["currency"])
        figures.mrr_cents, figures.at_risk_cents = mrr_of(row["yearly"]), mrr_of(row["at_risk"])
        figures.subscriptions_of_unknown_interval = row["unknown"]


# Readers are counted apart from the sums: count(DISTINCT reader) beside them sorts every row. Only readers
# with an event since then can have come or gone. Of those, each subscription is looked at as it is and as
# its last event by then left it: a reader with two, of whom one is cancelled, has not left. One statement,
# so that all of it is of one moment.
READERS = """
WITH paying AS (
    SELECT currency, count(*) AS readers
      FROM (SELECT DISTINCT currency, reader FROM monetization_subscription
             WHERE creator_id = %(creator)s AND status IN ('active', 'past_due')) AS distinct_readers
     GROUP BY currency
), touched AS (
    SELECT DISTINCT subscription.currency, subscription.reader
      FROM monetization_subscriptionevent event
      JOIN monetization_subscription subscription ON subscription.id = event.subscription_id
     WHERE event.creator_id = %(creator)s AND event.created_at > %(then)s
), changed AS (
    SELECT currency, reader,
           bool_or(subscription.status IN ('active', 'past_due')) AS pays_now,
           coalesce(bool_or(last.status IN ('active', 'past_due')), false) AS paid_then
      FROM touched
      JOIN monetization_subscription subscription USING (currency, reader)
      LEFT JOIN LATERAL (
           SELECT status FROM monetization_subscriptionevent event
            WHERE event.subscription_id = subscription.id AND event.created_at <= %(then)s
            ORDER BY event.id DESC LIMIT 1
      ) last ON true
     WHERE subscription.creator_id = %(creator)s
     GROUP BY currency, reader
), moved AS (
    SELECT currency,
           count(*) FILTER (WHERE pays_now AND NOT paid_then) AS came,
           count(*) FILTER (WHERE paid_then AND NOT pays_now) AS went
      FROM changed GROUP BY currency
)
SELECT currency, coalesce(readers, 0), coalesce(came, 0), coalesce(went, 0)
  FROM paying FULL JOIN moved USING (currency)
"""


def _add_readers(found: dict[str, Figures], creator: User, then: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(READERS, {"creator": creator.pk, "then": then})
        for currency, readers, came, went in cursor.fetchall():
            figures = _of(found, currency)
            figures.paying_subscribers = readers
            # Those of then are those of now, less who came, plus who went.
            figures.churn = Churn(left=went, of=readers - came + went)


def _of(found: dict[str, Figures], currency: str) -> Figures:
    return found.setdefault(currency, Figures())
