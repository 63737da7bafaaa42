"""Holds as a product makes and ends them."""

from typing import Any

from accounts.models import ServiceKey
from wallet import identifiers
from wallet.charges import holds
from wallet.models import Entry, Hold


def hold(user_id: str, count: int = 5, *, product: str = "blog", **asked: Any) -> Hold:
    """Set the price of some units aside for an hour; of articles, unless a feature is given."""
    request: dict[str, Any] = {"feature": "blog.article.generate", "ttl_seconds": 3600, **asked}
    request.setdefault("key", identifiers.hold_id())
    return holds.authorize(service=service_of(product), user_id=user_id, count=count, **request).hold


def capture(held: Hold, count: int | None = None) -> Hold:
    service = service_of(held.product)
    return holds.capture(service=service, user_id=held.wallet_id, hold_id=held.pk, count=count).hold


def void(held: Hold) -> Hold:
    return holds.void(user_id=held.wallet_id, hold_id=held.pk, product=held.product).hold


def charge_of(held: Hold) -> Entry:
    """The entry of a captured hold."""
    return Entry.objects.get(wallet_id=held.wallet_id, hold_id=held.pk)


def service_of(product: str) -> ServiceKey:
    return ServiceKey(product=product, prefix="wsk_test")
