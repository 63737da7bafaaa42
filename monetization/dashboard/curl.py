"""Curl commands for a terminal. They record a first sponsor, subscription or tip, or read the stats."""

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from foundation import money
from foundation.calendar import DAY
from monetization.fields import DEFAULT_CURRENCY

PATHS = {"sponsors": "sponsors", "subscriptions": "subscriptions", "tips": "tip", "stats": "stats"}


def curl_of(
    kind: str, base_url: str, *, at: datetime, currency: str = "USD", api_key: str = "YOUR_KEY"
) -> str:
    """Return a curl command. `kind` is one of PATHS. Without `api_key`, the creator replaces YOUR_KEY.

    The command sends a Stripe id or an Idempotency-Key, so two runs make only one record.
    """
    address = shlex.quote(f"{base_url}/mail/v1/monetization/{PATHS[kind]}")
    bearer = f'-H "Authorization: Bearer {api_key}"'
    if kind == "stats":
        return f"curl {bearer} \\\n  {address}"
    body, key = _example(kind, at, currency)
    headers = [
        bearer,
        '-H "Content-Type: application/json"',
        *([f'-H "Idempotency-Key: {key}"'] if key else []),
    ]
    return " \\\n  ".join([f"curl -X POST {address}", *headers, f"-d {shlex.quote(json.dumps(body))}"])


def _example(kind: str, at: datetime, currency: str) -> tuple[dict[str, object], str]:
    """Return a body and an Idempotency-Key. The key is empty if the body has a Stripe id."""
    if kind == "tips":
        return {
            "amount_cents": 500,
            "currency": currency,
            "name": "Alex",
            "message": "Love your weekly deep-dives",
            "stripe_payment_id": "pi_3OaBcDeFgHiJkL",
        }, ""
    step = money.step_of(currency)
    if kind == "subscriptions":
        return {
            "subscriber_email": "reader@example.com",
            "plan": "monthly",
            "amount_cents": 799 // step * step,
            "currency": currency,
            "stripe_subscription_id": "sub_1OaBcDeFgHiJkL",
        }, ""
    begins = (at.astimezone(UTC) + 7 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "sponsor_name": "Acme Corp",
        "logo_url": "https://cdn.example.com/acme-logo.png",
        "target_url": "https://acme.example.com",
        "position": "header",
        "active_from": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
        "active_until": f"{begins + 7 * DAY:%Y-%m-%dT%H:%M:%SZ}",
        "price_cents": 29900,
        "currency": currency,
    }, f"acme-header-{begins:%Y-%m-%d}"


def base_url(request: HttpRequest) -> str:
    """Return the URL at which a creator's server reaches this service."""
    return settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")


def line_for(request: HttpRequest, kind: str, currencies: Sequence[str], *, api_key: str = "YOUR_KEY") -> str:
    """Return the command of `curl_of` with the first of these currencies, or with USD if there is none."""
    currency = currencies[0] if currencies else DEFAULT_CURRENCY
    return curl_of(kind, base_url(request), at=timezone.now(), currency=currency, api_key=api_key)
