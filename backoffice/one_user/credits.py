"""The spending and the payments on the page of one user. This module only reads.

Each query uses an index that begins with the user. The number of rows that a query reads does not grow with
the history of the user.
"""

from dataclasses import dataclass
from datetime import date

from backoffice.credits import refunds, reversals
from backoffice.credits.reversals import Reversal
from backoffice.overview import links
from foundation.calendar import DAY, end_of, start_of
from wallet.history import spending
from wallet.models import Entry, RefundRequest, StripeEvent, TopUp
from wallet.pages import chart

# An event in one of these states may still need work.
OPEN_STATES = (StripeEvent.State.PARKED, StripeEvent.State.WAITING, StripeEvent.State.KEPT)
TOPUPS_SHOWN = 10
EVENTS_SHOWN = 50
TROUBLE_SHOWN = 10
SPENDING_ROWS_MAX = 12


@dataclass
class SpendingRow:
    """The credits charged for one feature in two months. The last row can be for all other features."""

    label: str
    product: str = ""
    feature: str = ""
    this_month: int = 0
    last_month: int = 0


@dataclass(frozen=True)
class Month:
    """A month: its first day, the credits charged in it, and the URL of the list of its entries."""

    first_day: date
    total: int
    entries_url: str


@dataclass(frozen=True)
class Spending:
    """The credits charged in this month and in the last month. Credits given back are subtracted."""

    this_month: Month
    last_month: Month
    rows: list[SpendingRow]


def spending_of(user_id: str) -> Spending:
    """Return the credits charged to a user, by product and feature, largest first.

    If there are more than SPENDING_ROWS_MAX features, one more row has the sum of the smallest features.
    """
    today = chart.today()
    end_of_last_month = today.replace(day=1) - DAY
    rows: dict[tuple[str, str], SpendingRow] = {}

    def month(name: str, first_day: date, last_day: date) -> Month:
        features = spending.by_feature(user_id=user_id, first_day=first_day, last_day=last_day)
        for each in features:
            row = SpendingRow(each.label, each.product, each.feature)
            setattr(rows.setdefault((each.product, each.feature), row), name, each.credits)
        days = links.within(start_of(first_day), end_of(last_day))
        entries_url = links.rows(Entry, wallet__user_id__exact=user_id, **days)
        return Month(first_day, sum(each.credits for each in features), entries_url)

    last_month = month("last_month", end_of_last_month.replace(day=1), end_of_last_month)
    this_month = month("this_month", today.replace(day=1), today)
    most_first = sorted(rows.values(), key=lambda row: -row.this_month - row.last_month)
    shown, rest = most_first[:SPENDING_ROWS_MAX], most_first[SPENDING_ROWS_MAX:]
    if rest:
        this, last = sum(row.this_month for row in rest), sum(row.last_month for row in rest)
        shown.append(SpendingRow(f"{len(rest):,} more", this_month=this, last_month=last))
    return Spending(this_month, last_month, shown)


@dataclass(frozen=True)
class Payment:
    """A top-up, the Stripe events of its payment, and what was refunded and disputed of it."""

    topup: TopUp
    events: list[StripeEvent]
    reversals: list[Reversal]
    unreported: list[RefundRequest]

    @property
    def parked_event(self) -> StripeEvent | None:
        """Return a parked event of an unpaid top-up, or None.

        The page shows the state of this event and not the state of the top-up: "waiting for payment" would
        mislead staff.
        """
        parked = (event for event in self.events if event.state == StripeEvent.State.PARKED)
        return next(parked, None) if self.topup.state != TopUp.State.PAID else None


def payments_of(user_id: str, *, with_events: bool, with_reversals: bool) -> list[Payment]:
    """Return the newest 10 top-ups of a user, newest first.

    `with_events` adds their Stripe events, `with_reversals` their refunds and disputes.
    """
    topups = list(TopUp.objects.of_user(user_id)[:TOPUPS_SHOWN])
    events = events_of(topups) if with_events else {}
    refunds.see_standings(topups)
    payments = []
    for topup in topups:
        standing = refunds.standing_seen(topup)
        payments.append(
            Payment(
                topup,
                events.get(topup.pk, []),
                reversals.of_payment(standing.reported) if with_reversals else [],
                standing.unreported if with_reversals else [],
            )
        )
    return payments


def events_of(topups: list[TopUp]) -> dict[str, list[StripeEvent]]:
    """Return the Stripe events of some top-ups, oldest first, by the id of the top-up.

    Events about a session name the session. Events about refunds and disputes name the payment intent.
    """
    sessions = {topup.stripe_session_id for topup in topups} - {None, ""}
    intents = {topup.payment_intent_id for topup in topups} - {""}
    read = StripeEvent.objects.defer("payload", "traceback").order_by("-received_at")
    # The partial indexes require that the two ids are not empty.
    of_sessions = read.exclude(stripe_session_id="").filter(stripe_session_id__in=sessions)
    of_intents = read.exclude(payment_intent_id="").filter(payment_intent_id__in=intents)
    found = {event.pk: event for event in [*of_sessions[:EVENTS_SHOWN], *of_intents[:EVENTS_SHOWN]]}
    events = sorted(found.values(), key=lambda event: (event.received_at, event.pk))
    return {
        topup.pk: [
            event
            for event in events
            if event.stripe_session_id == topup.stripe_session_id
            or (not event.stripe_session_id and event.payment_intent_id == topup.payment_intent_id)
        ]
        for topup in topups
    }


def trouble_of(user_id: str) -> list[StripeEvent]:
    """Return the newest 10 parked, waiting or kept Stripe events about this user, newest first."""
    events = StripeEvent.objects.filter(user_id=user_id, state__in=OPEN_STATES)
    return list(events.defer("payload", "traceback").order_by("-received_at")[:TROUBLE_SHOWN])
