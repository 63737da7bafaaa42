"""Rows of payouts and movements, as if they were read from Stripe in March 2026."""

from datetime import UTC, datetime

from django.utils import timezone

from wallet.models import PayoutItem, StripeMovement, StripePayout
from wallet.payments.payouts import money

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def this_month():
    return timezone.now().astimezone(UTC).date().replace(day=1)


def money_in(month):
    """A month's money. It must be read."""
    found = money.money_of(month)
    assert found is not None
    return found


def sent(pk, day, amount, status="paid", **facts):
    moment = datetime(2026, 3, day, tzinfo=UTC)
    facts = {"currency": "usd", "is_automatic": True, "itemized_at": moment} | facts
    return StripePayout.objects.create(
        id=pk, created_at=moment, arrives_at=moment, amount=amount, status=status, **facts
    )


def moved(pk, day, category, amount, payout="", **facts):
    StripeMovement.objects.create(
        id=pk,
        created_at=datetime(2026, 3, day, 12, tzinfo=UTC),
        category=category,
        currency="usd",
        amount=amount,
        fee=0,
        **facts,
    )
    if payout:
        PayoutItem.objects.create(movement_id=pk, payout_id=payout)
