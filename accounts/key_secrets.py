"""The secrets of service keys and API keys. One is shown once; what is stored opens nothing."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import KeyQuerySet

PREFIX_LENGTH = 4  # wsk_ or msk_
SECRET_LENGTH = PREFIX_LENGTH + 64
SHOWN_LENGTH = PREFIX_LENGTH + 8  # Kept in clear, to find a key and to name it.
USE_RECORDED_EVERY = timedelta(minutes=1)


def new_secret(prefix: str) -> tuple[str, dict[str, str]]:
    """A new secret, and what is stored of it."""
    secret = prefix + secrets.token_hex(32)
    return secret, {"prefix": secret[:SHOWN_LENGTH], "digest": digest_of(secret)}


def find(keys: KeyQuerySet, secret: str) -> Any | None:
    """The usable one of these keys that has this secret. Its use is noted at most once a minute."""
    # Text of another shape is not looked up: PostgreSQL refuses a NUL.
    if len(secret) != SECRET_LENGTH or not secret.isascii() or not secret.isprintable():
        return None
    now, digest = timezone.now(), digest_of(secret)
    # Several API keys may share the characters that are shown.
    candidates = keys.usable(now).filter(prefix=secret[:SHOWN_LENGTH])
    found = next((key for key in candidates if secrets.compare_digest(key.digest, digest)), None)
    if found and (found.last_used_at is None or now - found.last_used_at >= USE_RECORDED_EVERY):
        type(found).objects.note_use(found, at=now)
    return found


def digest_of(secret: str) -> str:
    """SHA-256 in hex: enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode()).hexdigest()
