"""What became of a creator's subscriptions lately."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from monetization.models import SubscriptionEvent
from monetization.stats import mrr_of
from monetization.supporters import mask


@dataclass(frozen=True)
class Change:
    """One change of a subscription, and what it did to MRR in the currency's smallest unit.

    `mrr_cents` is a twelfth of what it did to the year, rounded once, half away from zero, so that what comes
    and goes again is the same figure with the other sign. `label` is the kind in words: "Past due".
    """

    subscription_id: str
    at: datetime
    kind: str
    label: str
    masked_email: str
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
            masked_email=mask(event.subscription.subscriber_email),
            plan=event.plan,
            mrr_cents=_monthly(event.yearly_cents_delta),
        )
        for event in newest
    ]


def _monthly(yearly_cents: int) -> int:
    monthly = mrr_of(abs(yearly_cents))
    return monthly if yearly_cents > 0 else -monthly
