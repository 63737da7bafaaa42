"""What one user recorded as a creator. Nothing here writes.

Each query uses an index that begins with the user.
"""

from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import User
from backoffice.find.search import May
from backoffice.lists.links import name_of_page
from monetization.models import Refund, Sponsor, Subscription, Tip

RECORDS_SHOWN = 5


def creator_of(user: User, *, may: May) -> dict[str, Any] | None:
    """A creator's totals and newest tips and refunds; None if there are no records that `may` allows."""
    totals = _totals(user, may)
    if not totals:
        return None
    tips = Tip.objects.visible_to(user).order_by("-created_at", "-id")[:RECORDS_SHOWN]
    refunds = Refund.objects.filter(creator_id=user.pk).order_by("-created_at")[:RECORDS_SHOWN]
    shown_tips = list(tips) if may("monetization.view_tip") else []
    return {
        "totals": totals,
        "tips": shown_tips,
        "refunds": list(refunds) if shown_tips and may("monetization.view_refund") else [],
    }


def _totals(user: User, may: May) -> list[dict[str, Any]]:
    """How many records of each kind there are in each currency, with their sums."""
    now = timezone.now()
    booked = Q(cancelled_at=None)
    kinds: tuple[tuple[str, Any, dict[str, Any]], ...] = (
        (
            "Tips",
            Tip,
            {"gross": Sum("gross_cents"), "fee": Sum("fee_cents"), "refunded": Sum("refunded_cents")},
        ),
        (
            "Subscriptions",
            Subscription,
            {
                "yearly": Sum("yearly_cents"),
                "paying": Count("pk", filter=Q(status__in=["active", "past_due"])),
                "past_due": Count("pk", filter=Q(status="past_due")),
            },
        ),
        (
            "Placements",
            Sponsor,
            {
                "booked": Sum("price_cents", filter=booked, default=0),
                "running": Count("pk", filter=booked & Q(active_from__lte=now, active_until__gt=now)),
            },
        ),
    )
    return [
        {"what": what, "list": name_of_page(model, "changelist"), **sums}
        for what, model, columns in kinds
        if may(f"monetization.view_{model._meta.model_name}")
        for sums in model.objects.visible_to(user)
        .order_by()
        .values("currency")
        .annotate(count=Count("pk"), **columns)
        .order_by("currency")
    ]
