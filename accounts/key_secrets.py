"""The secrets of service keys and API keys.

A secret is shown once. Only its digest and its first 12 characters are stored; neither is accepted as a key.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from django.utils import timezone

from accounts import key_uses
from accounts.models import ApiKey, ServiceKey
from foundation.text import is_id

Key = TypeVar("Key", ServiceKey, ApiKey)

PREFIX_LENGTH = 4  # wsk_ or msk_
SECRET_LENGTH = PREFIX_LENGTH + 64
SHOWN_LENGTH = PREFIX_LENGTH + 8  # Stored as plain text, to look up a key and to show which key it is.


def new_secret(prefix: str) -> tuple[str, dict[str, str]]:
    """Return a new secret, and the fields to store: its prefix and its digest."""
    secret = prefix + secrets.token_hex(32)
    return secret, {"prefix": secret[:SHOWN_LENGTH], "digest": digest_of(secret)}


def find(usable: Callable[[str, datetime], Iterable[Key]], secret: str) -> Key | None:
    """Return the usable key with this secret, or None. Record the key's use at most once a minute.

    `usable` returns the keys that have a stored prefix and can be used at a time.
    """
    # A text that cannot be a secret is not looked up: PostgreSQL would refuse a NUL in the query.
    if len(secret) != SECRET_LENGTH or not secret.isascii() or not is_id(secret):
        return None
    now, digest = timezone.now(), digest_of(secret)
    # Several API keys may have the same stored prefix.
    candidates = usable(secret[:SHOWN_LENGTH], now)
    found = next((key for key in candidates if secrets.compare_digest(key.digest, digest)), None)
    if found:
        key_uses.note(digest, at=now)
    return found


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret in hex. A secret has 256 random bits, so an attacker cannot guess it."""
    return hashlib.sha256(secret.encode()).hexdigest()
