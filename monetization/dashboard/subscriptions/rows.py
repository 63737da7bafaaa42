"""What the list of subscriptions says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundation import money, words
from foundation.words import NAME_SHOWN, NONE
from monetization.dashboard.tags import TONES, Status, Tag, shown_email
from monetization.figures import stats
from monetization.models import Subscription

# --- Subscriptions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SubscriptionRow:
    """A subscription in the list."""

    pk: str
    email: str
    plan: str
    interval: str
    amount: str
    monthly: str
    status: Tag
    since: datetime
    stripe_id: str


def subscription_rows(subscriptions: Sequence[Subscription]) -> list[SubscriptionRow]:
    """Subscriptions as they are now."""
    return [
        SubscriptionRow(
            pk=each.pk,
            email=words.shortened(shown_email(each.subscriber_email), NAME_SHOWN),
            plan=each.plan,
            interval=each.get_interval_display(),
            amount=money.amount(each.amount_cents, each.currency),
            monthly=monthly_of(each),
            status=status_tag(each.status),
            since=each.created_at,
            stripe_id=each.stripe_subscription_id or "",
        )
        for each in subscriptions
    ]


def status_tag(status: str) -> Tag:
    """A subscription's status."""
    tone = "good" if status == Status.ACTIVE else TONES.get(status, "")
    return Tag(Status(status).label, tone)


def monthly_of(subscription: Subscription) -> str:
    """What it is worth a month, rounded; a dash where it is in no MRR."""
    if subscription.status == Status.CANCELLED or subscription.interval == Subscription.Interval.UNKNOWN:
        return NONE
    return money.amount(stats.mrr_of(subscription.yearly_cents), subscription.currency)
