"""What a Checkout Session of Stripe says, and whether it can be credited."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.misar_ids import is_misar_id
from wallet.books.models import PRODUCT_LENGTH, STRIPE_ID_LENGTH
from wallet.payments import stripe_gateway
from wallet.payments.models import StripeEvent

# What a paid session may hold, in cents (contract 13).
PAID_CENTS_MIN = 100
PAID_CENTS_MAX = 10_000_000


class Parked(Exception):
    """Raised when a session is ours but cannot be credited: staff must decide, and a retry would not help."""


@dataclass(frozen=True)
class Checkout:
    """What a valid session says."""

    session_id: str
    topup_id: str
    user_id: str
    product: str
    payment_intent_id: str
    livemode: bool
    # None until it is paid.
    paid_cents: int | None


def is_ours(session: dict[str, Any]) -> bool:
    """Whether a session is a top-up of this wallet. Its metadata alone says so."""
    return text_at(session, "metadata", "type") == "wallet_topup"


def judge(session: dict[str, Any]) -> Checkout:
    """The session as a Checkout. Raises Parked with the reason if it cannot be credited."""
    session_id = text_at(session, "id")
    user_id = text_at(session, "metadata", "user_id")
    product = text_at(session, "metadata", "product")
    if not is_plain(session_id):
        raise Parked("The session has no id.")
    if not is_misar_id(user_id):
        raise Parked("metadata.user_id is missing or malformed.")
    if session.get("livemode") not in (None, False, True):
        raise Parked("livemode is neither true nor false.")
    if bool(session.get("livemode")) != stripe_gateway.is_live():
        raise Parked("Its livemode does not match the mode of our Stripe key.")
    topup_id, intent = text_at(session, "metadata", "topup_id"), text_at(session, "payment_intent")
    return Checkout(
        session_id=session_id,
        topup_id=plain_or_nothing(topup_id),
        user_id=user_id,
        product=product[:PRODUCT_LENGTH] if product.isprintable() else "",
        payment_intent_id=plain_or_nothing(intent),
        livemode=bool(session.get("livemode")),
        paid_cents=_paid_cents(session) if session.get("payment_status") == "paid" else None,
    )


def _paid_cents(session: dict[str, Any]) -> int:
    currency, amount = session.get("currency"), session.get("amount_total")
    if currency != "usd":
        raise Parked("The payment is not in US dollars.")
    if type(amount) is not int:
        raise Parked("amount_total is not an integer.")
    if not PAID_CENTS_MIN <= amount <= PAID_CENTS_MAX:
        raise Parked(f"amount_total is {amount} cents, outside {PAID_CENTS_MIN} to {PAID_CENTS_MAX}.")
    return amount


def tells_of_payment(event: StripeEvent) -> bool:
    """Whether a stored event says that its checkout was paid. An unreadable one may say so, and counts."""
    session = _session_in(event.payload)
    return session is None or text_at(session, "payment_status") == "paid"


def session_of(event: StripeEvent) -> dict[str, Any]:
    """The session in a stored event, as Stripe wrote it; {} if there is none to read."""
    return _session_in(event.payload) or {}


def _session_in(payload: str) -> dict[str, Any] | None:
    """None if it cannot be read: no JSON, or nested too deeply."""
    try:
        event = json.loads(payload or "{}")
    except (ValueError, RecursionError):
        return None
    data = event.get("data") if isinstance(event, dict) else None
    session = data.get("object") if isinstance(data, dict) else None
    return session if isinstance(session, dict) else {}


def plain_or_nothing(stripe_id: str) -> str:
    """A Stripe id that our columns can hold; "" for anything else."""
    return stripe_id if is_plain(stripe_id) else ""


def is_plain(stripe_id: str) -> bool:
    return 1 <= len(stripe_id) <= STRIPE_ID_LENGTH and stripe_id.isprintable()


def text_at(source: Mapping[str, Any], *names: str) -> str:
    """The text at a path of an event; "" if there is no text."""
    value: Any = source
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
