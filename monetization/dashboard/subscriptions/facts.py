"""What the page of one subscription says, and what a change would do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundation import money
from foundation.words import NONE, moment
from monetization import subscriptions
from monetization.dashboard.subscriptions.rows import monthly_of, status_tag
from monetization.dashboard.tags import Fact, Tag
from monetization.figures import stats
from monetization.figures.changes import mrr_moved
from monetization.models import Subscription, SubscriptionEvent

Status = Subscription.Status
Interval = Subscription.Interval


# --- Subscriptions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventRow:
    """One change of a subscription. `recorded_at` is there only where it was recorded on another day."""

    kind: str
    at: datetime
    recorded_at: datetime | None
    plan: str
    amount: str
    status: Tag
    effect: str


@dataclass(frozen=True)
class Planned:
    """What a change would make of a subscription: each thing before and after, and what MRR does."""

    lines: list[tuple[str, str, str]]
    effect: str


def subscription_facts(subscription: Subscription) -> list[Fact]:
    """What is known of a subscription; its reader is above."""
    return [
        Fact("Plan", subscription.plan),
        Fact("Billing interval", subscription.get_interval_display()),
        Fact("Price", money.amount(subscription.amount_cents, subscription.currency)),
        Fact("Monthly value", _monthly_words(subscription)),
        Fact("Since", moment(subscription.created_at)),
        Fact("Stripe id", subscription.stripe_subscription_id or "none"),
    ]


def _monthly_words(subscription: Subscription) -> str:
    if subscription.status == Status.CANCELLED:
        return "none, it is cancelled"
    if subscription.interval == Interval.UNKNOWN:
        return "not known: the plan's name tells no billing interval, so it is not in MRR"
    return monthly_of(subscription)


def event_rows(events: Sequence[SubscriptionEvent]) -> list[EventRow]:
    """How a subscription came to be as it is."""
    return [
        EventRow(
            kind=event.get_kind_display(),
            at=event.occurred_at,
            recorded_at=event.created_at if event.created_at.date() != event.occurred_at.date() else None,
            plan=event.plan,
            amount=money.amount(event.amount_cents, event.currency),
            status=status_tag(event.status),
            effect=effect(event.yearly_cents_delta, event.currency),
        )
        for event in events
    ]


def effect(yearly_cents: int, currency: str) -> str:
    """What a change of the yearly income does to MRR, rounded half away from zero; a dash for nothing.

    >>> effect(9588, "USD"), effect(-9588, "USD"), effect(0, "USD")
    ('+7.99 USD', '−7.99 USD', '–')
    """
    if yearly_cents == 0:
        return NONE
    return f"{'+' if yearly_cents > 0 else ''}{money.amount(mrr_moved(yearly_cents), currency)}"


def planned(subscription: Subscription, *, status: str, plan: str, amount_cents: int) -> Planned:
    """What `subscriptions.change` would do with these; without lines where it would do nothing."""
    currency = subscription.currency
    interval = subscription.interval if plan == subscription.plan else subscriptions.interval_of(plan)
    yearly = subscriptions.yearly_cents(status=status, interval=interval, amount_cents=amount_cents)
    lines = [
        ("Status", status_tag(subscription.status).word, status_tag(status).word),
        ("Plan", subscription.plan, plan),
        ("Billing interval", subscription.get_interval_display(), Interval(interval).label),
        (
            "Price",
            money.amount(subscription.amount_cents, currency),
            money.amount(amount_cents, currency),
        ),
    ]
    return Planned(
        lines=[line for line in lines if line[1] != line[2]],
        effect=_effect_words(subscription, status, interval, yearly),
    )


def _effect_words(subscription: Subscription, status: str, interval: str, yearly: int) -> str:
    currency, delta = subscription.currency, yearly - subscription.yearly_cents
    if delta:
        sentence = f"MRR changes by {effect(delta, currency)}."
    else:
        sentence = "MRR stays as it is."
    if status == Status.PAST_DUE and yearly:
        at_risk = money.amount(stats.mrr_of(yearly), currency)
        sentence += f" {at_risk} of it is at risk: a past-due subscription counts until it is cancelled."
    elif status != Status.CANCELLED and interval == Interval.UNKNOWN:
        sentence += " The plan's name tells no billing interval, so this subscription is not in MRR."
    return sentence
