"""Amounts, states and times as the sandbox's pages show them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from foundation import money

ZERO_DECIMAL_CURRENCIES = {"jpy"}


@dataclass(frozen=True)
class Tag:
    """A state: a word, and the tone of its colour."""

    word: str
    tone: str = "plain"


SESSION_TAGS = {
    "open": Tag("Open"),
    "expired": Tag("Expired"),
    "paid": Tag("Paid", "good"),
    "on_its_way": Tag("On its way", "warn"),
    "failed": Tag("Failed", "bad"),
}
REFUND_TAGS = {
    "succeeded": Tag("Refunded", "good"),
    "pending": Tag("Pending", "warn"),
    "requires_action": Tag("Needs action", "warn"),
    "failed": Tag("Failed", "bad"),
    "canceled": Tag("Canceled"),
}
DISPUTE_TAGS = {
    "warning_needs_response": Tag("Inquiry", "warn"),
    "warning_under_review": Tag("Inquiry under review", "warn"),
    "warning_closed": Tag("Inquiry closed"),
    "needs_response": Tag("Open", "warn"),
    "under_review": Tag("Under review", "warn"),
    "prevented": Tag("Prevented"),
    "won": Tag("Won", "good"),
    "lost": Tag("Lost", "bad"),
}
DELIVERY_TAGS = {
    "waiting": Tag("Waiting", "warn"),
    "delivered": Tag("Delivered", "good"),
    "dropped": Tag("Dropped", "bad"),
    "given_up": Tag("Given up", "bad"),
}


def amount(smallest_units: int, currency: str) -> str:
    """An amount with its currency: $25.00, or 25.00 EUR."""
    if currency == "usd":
        return money.dollars(smallest_units)
    if currency in ZERO_DECIMAL_CURRENCIES:
        return f"{smallest_units:,} {currency.upper()}"
    return f"{smallest_units // 100:,}.{smallest_units % 100:02d} {currency.upper()}"


def moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=UTC)


def short(object_id: str) -> str:
    """An id shortened for a table: its beginning and its end."""
    return object_id if len(object_id) <= 20 else f"{object_id[:11]}…{object_id[-5:]}"
