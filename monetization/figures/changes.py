"""The latest changes of a creator's subscriptions."""

from accounts.models import User
from monetization.figures.stats import mrr_of
from monetization.models import SubscriptionEvent


def recent_changes(creator: User, currency: str, limit: int = 5) -> list[SubscriptionEvent]:
    """Return the last recorded changes with their subscriptions, the newest first. This takes one query."""
    events = SubscriptionEvent.objects.filter(creator=creator, currency=currency)
    return list(events.select_related("subscription").order_by("-created_at", "-pk")[:limit])


def mrr_moved(yearly_cents_delta: int) -> int:
    """Return how much a change of the yearly amount changes MRR, in the currency's smallest unit.

    The result is a twelfth of the yearly change, rounded once, half away from zero. It is below 0 for a loss.
    If a price is added and later removed, the two results differ only in their sign.
    """
    monthly = mrr_of(abs(yearly_cents_delta))
    return monthly if yearly_cents_delta > 0 else -monthly
