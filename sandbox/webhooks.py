"""The courier: signs events as Stripe does, posts them, and retries until the answer is good."""

import hashlib
import hmac
import http.client
import json
import os
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from sandbox import behaviour, events, store
from sandbox.events import Attempt
from sandbox.shapes import API_VERSION

TIMEOUT_SECONDS = 10
AT_ONCE_MAX = 24
GOLDEN_RATIO = (5**0.5 - 1) / 2


def url() -> str:
    """Where webhooks go."""
    return (
        os.environ.get("SANDBOX_WEBHOOK_URL") or f"{os.environ['PUBLIC_URL'].rstrip('/')}/io/wallet/webhook"
    )


def secrets() -> list[str]:
    return [secret.strip() for secret in os.environ["STRIPE_WEBHOOK_SECRETS"].split(",") if secret.strip()]


def signature(body: bytes, *, at: int, secrets: Sequence[str]) -> str:
    """The Stripe-Signature header: one v1 for each secret, as Stripe does while a secret is rolled."""
    signed = b"%d.%b" % (at, body)
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={digest}" for digest in digests)])


def is_lost(delivery_id: int, share: float) -> bool:
    """Whether a delivery is among the share that is lost.

    Multiples of the golden ratio are spread evenly and never repeat a pattern: of any few dozen deliveries
    about that share is lost, and no kind of event is always the one.
    """
    return delivery_id * GOLDEN_RATIO % 1 < share


class Courier:
    """Sends due deliveries, each in its own thread, so a slow answer delays no other delivery."""

    def __init__(self) -> None:
        self._under_way: set[int] = set()
        self._lock = threading.Lock()

    def carry_what_is_due(self) -> None:
        # Read this before the rows: a delivery that ends between the two reads must not be sent twice.
        under_way = self._now_under_way()
        due = events.deliveries_due(time.time())
        # Read this after the rows: what is queued after webhooks are no longer dropped must not be dropped.
        played = behaviour.current()
        for delivery_id, event_id in due.items():
            if played.drop_webhooks or is_lost(delivery_id, played.drop_share):
                events.drop(delivery_id)
            elif delivery_id not in under_way and len(self._now_under_way()) < AT_ONCE_MAX:
                with self._lock:
                    self._under_way.add(delivery_id)
                # A daemon thread: stopping does not wait for it. Without a stored answer it is sent again.
                threading.Thread(target=self._carry, args=(delivery_id, event_id), daemon=True).start()

    def next_due(self) -> float:
        """When the next delivery can be sent; infinity if none can before another one has ended."""
        under_way = self._now_under_way()
        return events.next_delivery_due(besides=under_way) if len(under_way) < AT_ONCE_MAX else float("inf")

    def _now_under_way(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._under_way)

    def _carry(self, delivery_id: int, event_id: str) -> None:
        try:
            if event := store.get("event", event_id):
                events.note_attempt(delivery_id, _post(json.dumps(event.body, indent=2).encode()))
        finally:
            with self._lock:
                self._under_way.discard(delivery_id)
        store.changed.set()  # Now it can be sent again, and another one can take its place.


def _post(body: bytes) -> Attempt:
    """Send once. A redirect counts as a bad answer."""
    at = time.time()
    target = urlsplit(url())
    connect = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = connect(target.hostname or "", target.port, timeout=TIMEOUT_SECONDS)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(body, at=int(at), secrets=secrets()),
        "User-Agent": "Stripe/1.0 (sandbox)",
        "Stripe-Version": API_VERSION,
    }
    path = target.path + (f"?{target.query}" if target.query else "")
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return Attempt(at=at, status=answer.status, remark=answer.reason)
    except (OSError, http.client.HTTPException) as trouble:
        return Attempt(at=at, status=None, remark=f"{type(trouble).__name__}: {trouble}")
    finally:
        connection.close()
