"""The latest changes of a creator's subscriptions."""

from accounts.models import User
from monetization.figures.stats import mrr_of
from monetization.models import SubscriptionEvent


def recent_changes(creator: User, currency: str, limit: int = 5) -> list[SubscriptionEvent]:
    """The last changes recorded, the newest first, with their subscriptions. One query."""
    events = SubscriptionEvent.objects.filter(creator=creator, currency=currency)
    return list(events.select_related("subscription").order_by("-created_at", "-pk")[:limit])


def mrr_moved(yearly_cents_delta: int) -> int:
    """What a change of a year's worth does to MRR: a twelfth, rounded once, half away from zero.

    So a price that comes and goes again is the same figure with the other sign. In the currency's smallest
    unit; below 0 for what is lost.
    """
    monthly = mrr_of(abs(yearly_cents_delta))
    return monthly if yearly_cents_delta > 0 else -monthly
