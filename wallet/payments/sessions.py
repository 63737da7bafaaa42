"""Read a Checkout Session of Stripe, and check whether it can be credited."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.misar_ids import is_misar_id
from foundation.text import beginning, is_id
from wallet.books.models import PRODUCT_LENGTH, STRIPE_ID_LENGTH
from wallet.payments import stripe_gateway
from wallet.payments.models import StripeEvent

# The smallest and the largest amount of a paid session, in cents (contract 13).
PAID_CENTS_MIN = 100
PAID_CENTS_MAX = 10_000_000


class Parked(Exception):
    """Raised when a session is ours but cannot be credited. A retry would not help, so staff must decide."""


@dataclass(frozen=True)
class Checkout:
    """The data of a valid session."""

    session_id: str
    topup_id: str
    user_id: str
    product: str
    payment_intent_id: str
    livemode: bool
    # None until the session is paid.
    paid_cents: int | None


def is_ours(session: dict[str, Any]) -> bool:
    """Return whether a session is a top-up of this wallet. Only the session's metadata decides this."""
    return text_at(session, "metadata", "type") == "wallet_topup"


def judge(session: dict[str, Any]) -> Checkout:
    """Return the session as a Checkout. If the session cannot be credited, raises Parked with the reason."""
    session_id = text_at(session, "id")
    user_id = text_at(session, "metadata", "user_id")
    product = beginning(text_at(session, "metadata", "product"), PRODUCT_LENGTH)
    if not is_plain(session_id):
        raise Parked("The session has no id.")
    if not is_misar_id(user_id):
        raise Parked("metadata.user_id is missing or malformed.")
    if session.get("livemode") not in (None, False, True):
        raise Parked("livemode is neither true nor false.")
    if bool(session.get("livemode")) != stripe_gateway.is_live():
        raise Parked("Its livemode does not match the mode of our Stripe key.")
    return Checkout(
        session_id=session_id,
        topup_id=plain_or_nothing(text_at(session, "metadata", "topup_id")),
        user_id=user_id,
        product=product if is_id(product) else "",
        payment_intent_id=payment_at(session),
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
    """Return whether a stored event says that its checkout was paid.

    This is also true for an event that cannot be read, because it may report a payment.
    """
    session = _session_in(event.payload)
    return session is None or text_at(session, "payment_status") == "paid"


def session_of(event: StripeEvent) -> dict[str, Any]:
    """Return the session in a stored event, as Stripe sent it; {} if the event has no readable session."""
    return _session_in(event.payload) or {}


def _session_in(payload: str) -> dict[str, Any] | None:
    """Return the session in a payload; {} if the payload has none.

    Return None if the payload cannot be read: it is not JSON, or it is nested too deeply.
    """
    try:
        event = json.loads(payload or "{}")
    except (ValueError, RecursionError):
        return None
    data = event.get("data") if isinstance(event, dict) else None
    session = data.get("object") if isinstance(data, dict) else None
    return session if isinstance(session, dict) else {}


def payment_at(source: Mapping[str, Any], *names: str) -> str:
    """Return the id of the payment of the session at this path in `source`; "" if there is none.

    Stripe sends the id, or the whole payment as an object with the id.
    """
    payment = text_at(source, *names, "payment_intent") or text_at(source, *names, "payment_intent", "id")
    return plain_or_nothing(payment)


def plain_or_nothing(stripe_id: str) -> str:
    """Return the Stripe id if our columns can store it; otherwise ""."""
    return stripe_id if is_plain(stripe_id) else ""


def is_plain(stripe_id: str) -> bool:
    return len(stripe_id) <= STRIPE_ID_LENGTH and is_id(stripe_id)


def text_at(source: Mapping[str, Any], *names: str) -> str:
    """Return the text at this path of names in `source`; "" if there is no text."""
    value: Any = source
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
