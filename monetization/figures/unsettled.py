"""The subscriptions that a creator should look at: past due, or with an unknown interval."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from accounts.models import User
from monetization.models import Subscription


@dataclass(frozen=True)
class Unsettled:
    """Subscriptions of one currency. Those past due bring in `yearly_cents_past_due`, in its smallest unit.

    `of_unknown_interval` are active or past due, and in no sum.
    """

    past_due: int
    yearly_cents_past_due: int
    of_unknown_interval: int


def by_currency(creator: User) -> dict[str, Unsettled]:
    """Return these subscriptions by currency, in alphabetical order. A currency without any is left out.

    This takes one query. Two indexes have only such subscriptions.
    """
    is_past_due, is_unknown = Q(status="past_due"), Q(interval="unknown")
    mine = Subscription.objects.visible_to(creator).paying().filter(is_past_due | is_unknown)
    rows = (
        mine.order_by("currency")
        .values("currency")
        .annotate(
            past_due=Count("pk", filter=is_past_due),
            yearly=Sum("yearly_cents", filter=is_past_due, default=0),
            unknown=Count("pk", filter=is_unknown),
        )
    )
    return {row["currency"]: Unsettled(row["past_due"], row["yearly"], row["unknown"]) for row in rows}
