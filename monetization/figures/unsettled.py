"""The subscriptions that a creator should look at: past due, or with an unknown interval."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, Sum

from accounts.models import User
from monetization.models import Subscription


@dataclass(frozen=True)
class Unsettled:
    """Subscriptions of one currency. Those past due bring in `yearly_cents_past_due`, in its smallest unit.

    `of_unknown_interval` are active or past due, and in no sum. `newest_unknown` is when the newest of these
    became one; None if an earlier release wrote all of them.
    """

    past_due: int
    yearly_cents_past_due: int
    of_unknown_interval: int
    newest_unknown: datetime | None


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
            newest=Max("unknown_since", filter=is_unknown),
        )
    )
    return {
        row["currency"]: Unsettled(row["past_due"], row["yearly"], row["unknown"], row["newest"])
        for row in rows
    }
