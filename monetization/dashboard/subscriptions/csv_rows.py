"""Subscriptions as lines of a file."""

from foundation.spreadsheets import Cell
from monetization.dashboard.csv_files import amount, moment
from monetization.models import Subscription

SUBSCRIPTION_CSV_HEADER = (
    "subscription_id",
    "created_at",
    "subscriber_email",
    "plan",
    "interval",
    "status",
    "status_at",
    "currency",
    "amount_cents",
    "amount",
    "yearly_cents",
    "yearly",
    "stripe_subscription_id",
)


def subscription_csv_row(subscription: Subscription) -> list[Cell]:
    """A subscription under SUBSCRIPTION_CSV_HEADER; its yearly income is empty where not known."""
    is_known = subscription.interval != Subscription.Interval.UNKNOWN
    return [
        subscription.pk,
        moment(subscription.created_at),
        subscription.subscriber_email,
        subscription.plan,
        subscription.interval,
        subscription.status,
        moment(subscription.status_at),
        subscription.currency,
        *amount(subscription.amount_cents, subscription.currency),
        *amount(subscription.yearly_cents if is_known else None, subscription.currency),
        subscription.stripe_subscription_id,
    ]
