"""A creator's figures by currency, as docs/monetization.md defines them, in a few queries.

A period is whole UTC days. Each of PERIODS ends today: `7d` is today and the six days before it. Amounts of
different currencies are never added.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from foundation.calendar import A_MOMENT
from monetization.figures import payers, sums, unsettled
from monetization.figures.periods import Period, last_days
from monetization.models import Sponsor

PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
CHURN_DAYS = 30


@dataclass(frozen=True)
class Churn:
    """How many readers paid 30 days before a moment (`of`), and how many of these did not pay then (`left`).

    The moment is the end of the period, or now if the period has not ended.
    """

    left: int = 0
    of: int = 0

    @property
    def percent(self) -> float | None:
        """The percentage of readers who left: 0 to 100, with one decimal, rounded half up.

        It is None if no reader paid 30 days before, because 0 would look like a result.
        """
        if not self.of:
            return None
        return (2000 * self.left + self.of) // (2 * self.of) / 10


@dataclass
class Figures:
    """The figures of one currency. Amounts are in its smallest unit.

    Gross, fee and net are sums over the tips recorded in the period. A refund counts on the day when it was
    made, and never changes the tips of a day. The payment processor's own fee is not known here, so
    this fee is not subtracted from `net_cents`. The prices of sponsors are booked, not received. Sponsors
    booked are the placements that begin in the period and were not cancelled.

    New subscribers are readers who pay at the end of the period and did not pay at its beginning.
    `left_subscribers` counts readers who paid at its beginning and do not pay at its end. MRR, paying
    subscribers and churn are the values at the end of the period. If the period has not ended, "at the end"
    means now. At risk, unknown intervals and active sponsors are the values now, or 0 if the period has
    ended.
    """

    gross_cents: int = 0
    fee_cents: int = 0
    net_cents: int = 0
    tips: int = 0
    refunds: int = 0
    refunded_cents: int = 0
    fee_returned_cents: int = 0
    sponsors_booked: int = 0
    sponsors_booked_cents: int = 0
    sponsors_active_now: int = 0
    mrr_cents: int = 0
    at_risk_cents: int = 0
    paying_subscribers: int = 0
    new_subscribers: int = 0
    left_subscribers: int = 0
    subscriptions_of_unknown_interval: int = 0
    churn: Churn = field(default_factory=Churn)

    @property
    def net_after_refunds_cents(self) -> int:
        """What the creator keeps: the net, minus what was refunded, plus the fees that were returned."""
        return self.net_cents - (self.refunded_cents - self.fee_returned_cents)

    @property
    def earned_cents(self) -> int:
        """What the creator earned after fees: what they keep of tips, and the prices of sponsors booked."""
        return self.net_after_refunds_cents + self.sponsors_booked_cents

    @property
    def average_tip_cents(self) -> int | None:
        """The average gross amount of a tip, rounded half up; None without tips."""
        return (2 * self.gross_cents + self.tips) // (2 * self.tips) if self.tips else None


@dataclass(frozen=True)
class Stats:
    """A creator's figures by currency, and the period that they cover."""

    period: str
    since: datetime
    until: datetime
    currencies: dict[str, Figures]


def of_creator(creator: User, *, period: str = "30d") -> Stats:
    """Return a creator's figures for one of PERIODS. The period's last day is today."""
    now = timezone.now()
    days = last_days(PERIODS[period], name=period, at=now)
    return Stats(period, days.since, now, of_period(creator, days))


def of_period(creator: User, period: Period) -> dict[str, Figures]:
    """Return a creator's figures of a period by currency, in alphabetical order.

    A currency without any figure for the period or for now is left out, so callers use
    `.get(currency, Figures())`. More records do not need more queries.
    """
    now = timezone.now()
    by_currency: dict[str, Figures] = {}
    _add_sums(by_currency, creator, period, now)
    _add_sponsors(by_currency, creator, period, now)
    _add_unsettled(by_currency, creator, period, now)
    _add_readers(by_currency, creator, period, now)
    return dict(sorted(by_currency.items()))


def mrr_of(yearly_cents: int) -> int:
    """Return a twelfth of a year's income, rounded once, half up."""
    return (yearly_cents + 6) // 12


def _add_sums(by_currency: dict[str, Figures], creator: User, period: Period, now: datetime) -> None:
    for currency, found in sums.by_currency(creator, period, at=now).items():
        # If the period has not ended, a currency whose subscriptions were all cancelled has no figure.
        has_mrr = found.yearly_cents or (found.events and period.until <= now)
        if not (found.tips or found.refunds or has_mrr):
            continue
        figures = _of(by_currency, currency)
        figures.tips, figures.refunds = found.tips, found.refunds
        figures.gross_cents, figures.fee_cents, figures.net_cents = (
            found.gross_cents,
            found.fee_cents,
            found.net_cents,
        )
        figures.refunded_cents, figures.fee_returned_cents = found.refunded_cents, found.fee_returned_cents
        figures.mrr_cents = mrr_of(found.yearly_cents)


def _add_sponsors(by_currency: dict[str, Figures], creator: User, period: Period, now: datetime) -> None:
    begins = Q(active_from__gte=period.since, active_from__lt=period.until)
    is_active = Q(active_from__lte=now, active_until__gt=now) if now < period.until else Q(pk=None)
    booked = Sponsor.objects.visible_to(creator).booked().order_by()
    sums = (
        booked.filter(begins | is_active)
        .values("currency")
        .annotate(
            count=Count("pk", filter=begins),
            price=Coalesce(Sum("price_cents", filter=begins), 0),
            active=Count("pk", filter=is_active),
        )
    )
    for row in sums:
        figures = _of(by_currency, row["currency"])
        figures.sponsors_booked, figures.sponsors_booked_cents = row["count"], row["price"]
        figures.sponsors_active_now = row["active"]


def _add_unsettled(by_currency: dict[str, Figures], creator: User, period: Period, now: datetime) -> None:
    if period.until <= now:
        return
    for currency, found in unsettled.by_currency(creator).items():
        figures = _of(by_currency, currency)
        figures.at_risk_cents = mrr_of(found.yearly_cents_past_due)
        figures.subscriptions_of_unknown_interval = found.of_unknown_interval


def _add_readers(by_currency: dict[str, Figures], creator: User, period: Period, now: datetime) -> None:
    is_over = period.until <= now
    a_month_ago = (period.until if is_over else now + A_MOMENT) - timedelta(days=CHURN_DAYS)
    end = period.until if is_over else None
    for currency, readers in payers.at(creator, [a_month_ago, period.since], end=end).items():
        figures = _of(by_currency, currency)
        then, at_start = readers.earlier
        figures.paying_subscribers = readers.paying
        figures.new_subscribers, figures.left_subscribers = readers.joined(1), at_start.left
        figures.churn = Churn(then.left, then.paid)


def _of(by_currency: dict[str, Figures], currency: str) -> Figures:
    return by_currency.setdefault(currency, Figures())
