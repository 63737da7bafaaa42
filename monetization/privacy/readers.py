"""Find and export the data of one reader, from all creators."""

from operator import attrgetter
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Model, QuerySet

from monetization.errors import NotAnAddress
from monetization.models import Subscription, Tip


def export(email: str) -> dict[str, Any]:
    """Return everything that is stored about the reader with this address, from all creators.

    The address may be any spelling of the mailbox. Raises NotAnAddress.
    """
    require_address(email)
    tips = tips_of(email).order_by("created_at", "pk").prefetch_related("refunds")
    subscriptions = subscriptions_of(email).order_by("created_at", "pk").prefetch_related("events")
    return {
        "email": email,
        "tips": [
            {
                "id": tip.pk,
                "creator": tip.creator_id,
                "gross_amount_cents": tip.gross_cents,
                **_values(tip, "refunded_cents", "currency", "email", "name", "message", "stripe_payment_id"),
                "created_at": tip.created_at.isoformat(),
                "refunds": [
                    {"amount_cents": refund.amount_cents, "created_at": refund.created_at.isoformat()}
                    for refund in sorted(tip.refunds.all(), key=attrgetter("created_at", "pk"))
                ],
            }
            for tip in tips
        ],
        "subscriptions": [
            {
                "id": subscription.pk,
                "creator": subscription.creator_id,
                **_values(subscription, "subscriber_email", "plan", "amount_cents", "currency", "status"),
                "stripe_subscription_id": subscription.stripe_subscription_id,
                "created_at": subscription.created_at.isoformat(),
                "changes": [
                    {
                        **_values(event, "kind", "status", "plan", "amount_cents"),
                        "occurred_at": event.occurred_at.isoformat(),
                    }
                    for event in sorted(subscription.events.all(), key=attrgetter("pk"))
                ],
            }
            for subscription in subscriptions
        ],
    }


def _values(row: Model, *fields: str) -> dict[str, Any]:
    return {field: getattr(row, field) for field in fields}


def require_address(email: str) -> None:
    """Raise NotAnAddress if the text is not an e-mail address."""
    # The text "" would match all anonymous readers. A part of a word would match texts of other readers.
    try:
        validate_email(email)
    except ValidationError:
        raise NotAnAddress from None


def tips_of(email: str) -> QuerySet[Tip]:
    """Return the tips of the reader with this mailbox, in any spelling, from all creators."""
    return Tip.objects.filter(Tip.in_mailbox(email, wait=True))


def subscriptions_of(email: str) -> QuerySet[Subscription]:
    """Return the subscriptions of the reader with this mailbox, in any spelling, from all creators."""
    return Subscription.objects.filter(Subscription.in_mailbox(email, wait=True))
