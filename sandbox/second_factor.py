"""The second factor of the demo's staff, shown instead of by a phone."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from foundation.database import configuration

STEP_SECONDS = 30
DIGITS = 6
REFRESH_SECONDS = 5  # How old the seconds on the page may be.


def code_at(secret: str, at: float) -> str:
    """The six digits of a base32 secret at a Unix time (RFC 6238, SHA-1). Not base32 raises ValueError."""
    letters = secret.replace(" ", "").upper()
    key = base64.b32decode(letters + "=" * (-len(letters) % 8))
    mac = hmac.digest(key, int(at // STEP_SECONDS).to_bytes(8), hashlib.sha1)
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def secret_of_the_demo() -> str | None:
    """`staff_totp_secret` in the demo's data; None if there is none."""
    file = configuration.data_directory(os.environ) / "demo.json"
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    secret = kept.get("staff_totp_secret") if isinstance(kept, dict) else None
    return secret if isinstance(secret, str) and secret else None


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The present code. The browser reloads by itself, and at once when the next code begins."""
    now = time.time()
    facts: dict[str, Any] = {"code": None}
    seconds_left = STEP_SECONDS - int(now) % STEP_SECONDS
    if secret := secret_of_the_demo():
        try:
            code = code_at(secret, now)
        except (binascii.Error, ValueError):
            facts["trouble"] = "The secret in demo.json is not base32, so no code can be made of it."
        else:
            facts |= {
                "code": code,
                "seconds_left": seconds_left,
                "ends_at": datetime.fromtimestamp(int(now) + seconds_left, tz=UTC),
            }
    answer = render(request, "sandbox/second_factor.html", facts)
    answer["Refresh"] = str(min(REFRESH_SECONDS, seconds_left))
    return answer
