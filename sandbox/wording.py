"""Amounts, states and times as the sandbox's pages show them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from foundation import money
from sandbox.behaviour import Behaviour

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
# What moved the money of a balance transaction, by its reporting category.
CATEGORIES = {
    "charge": "Payment",
    "refund": "Refund",
    "refund_failure": "Refund came back",
    "dispute": "Dispute",
    "dispute_reversal": "Dispute came back",
}
DELIVERY_TAGS = {
    "waiting": Tag("Waiting", "warn"),
    "delivered": Tag("Delivered", "good"),
    "dropped": Tag("Dropped", "bad"),
    "given_up": Tag("Given up", "bad"),
}


def troubles(played: Behaviour) -> list[str]:
    """How the sandbox misbehaves at present, a sentence for each setting."""
    sentences = {
        "Webhooks are being dropped.": played.drop_webhooks,
        f"{played.drop_share:.0%} of the webhooks are being dropped.": (
            played.drop_share and not played.drop_webhooks
        ),
        "Webhooks are sent twice.": played.double_webhooks,
        f"Webhooks are sent {seconds(played.webhook_delay_seconds)} late.": played.webhook_delay_seconds,
        f"Webhooks are shuffled within {seconds(played.shuffle_seconds)}.": played.shuffle_seconds,
        f"The API answers {seconds(played.api_delay_seconds)} late.": played.api_delay_seconds,
        f"The API answers every call with {played.api_failure}.": played.api_failure,
        "New refunds stay pending.": played.refunds_pending,
    }
    return [sentence for sentence, is_so in sentences.items() if is_so]


def seconds(number: float) -> str:
    """A number of seconds with its unit, such as 1.5 s."""
    return f"{number:g} s"


def amount(smallest_units: int, currency: str) -> str:
    """An amount with its currency: $25.00, or 25.00 EUR."""
    if currency == "usd":
        return money.dollars(smallest_units)
    if currency in ZERO_DECIMAL_CURRENCIES:
        return f"{smallest_units:,} {currency.upper()}"
    return f"{smallest_units // 100:,}.{smallest_units % 100:02d} {currency.upper()}"


def signed_amount(smallest_units: int, currency: str) -> str:
    """An amount of money that moved: +$25.00 or −$25.00."""
    sign = "\N{MINUS SIGN}" if smallest_units < 0 else "+" if smallest_units else ""
    return sign + amount(abs(smallest_units), currency)


def moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=UTC)


def short(object_id: str) -> str:
    """An id shortened for a table: its beginning and its end."""
    return object_id if len(object_id) <= 20 else f"{object_id[:11]}…{object_id[-5:]}"
