"""What became of a creator's subscriptions lately."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from monetization.figures.stats import mrr_of
from monetization.models import Subscription, SubscriptionEvent
from monetization.privacy.placeholders import is_erased


@dataclass(frozen=True)
class Change:
    """One change of a subscription, and what it did to MRR in the currency's smallest unit.

    `mrr_cents` is a twelfth of what it did to the year, rounded once, half away from zero, so that what comes
    and goes again is the same figure with the other sign. `label` is the kind in words: "Past due". `email`
    is the subscriber's address as it was written, empty once they are erased.
    """

    subscription_id: str
    at: datetime
    kind: str
    label: str
    email: str
    plan: str
    mrr_cents: int


def recent_changes(creator: User, currency: str, limit: int = 5) -> list[Change]:
    """The last changes recorded, the newest first. One query."""
    events = SubscriptionEvent.objects.filter(creator=creator, currency=currency)
    newest = events.select_related("subscription").order_by("-created_at", "-pk")[:limit]
    return [
        Change(
            subscription_id=event.subscription_id,
            at=event.created_at,
            kind=event.kind,
            label=event.get_kind_display(),
            email=_address_of(event.subscription),
            plan=event.plan,
            mrr_cents=mrr_moved(event.yearly_cents_delta),
        )
        for event in newest
    ]


def mrr_moved(yearly_cents_delta: int) -> int:
    """What a change of a year's worth does to MRR: a twelfth, rounded once, half away from zero.

    In the currency's smallest unit; below 0 for what is lost.
    """
    monthly = mrr_of(abs(yearly_cents_delta))
    return monthly if yearly_cents_delta > 0 else -monthly


def _address_of(subscription: Subscription) -> str:
    email = subscription.subscriber_email
    return "" if is_erased(email) else email
