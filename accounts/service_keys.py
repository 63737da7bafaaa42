"""Service keys: made, found, revoked. A secret is shown once; what is stored cannot open a door."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.errors import InvalidServiceKey
from accounts.models import ServiceKey

SERVICE_KEY_PREFIX = "wsk_"
# What is kept in clear, to find a key and to name it: the prefix and eight characters.
SHOWN_LENGTH = len(SERVICE_KEY_PREFIX) + 8
USE_RECORDED_EVERY = timedelta(minutes=1)


def issue_service_key(
    *, product: str, feature_prefixes: Sequence[str] = (), expires_at: datetime | None = None
) -> tuple[ServiceKey, str]:
    """A new key and its secret, which is not stored and not shown again."""
    secret = SERVICE_KEY_PREFIX + secrets.token_hex(32)
    key = ServiceKey(
        product=product,
        prefix=secret[:SHOWN_LENGTH],
        digest=digest_of(secret),
        feature_prefixes=list(feature_prefixes),
        expires_at=expires_at,
    )
    key.full_clean(validate_unique=False)
    key.save(force_insert=True)
    return key, secret


def find_service_key(secret: str) -> ServiceKey:
    """The usable key of this secret, or InvalidServiceKey. Notes the use, at most once a minute."""
    now = timezone.now()
    # Nothing of another shape is looked up: PostgreSQL would choke on a NUL.
    shape_is_ours = secret.startswith(SERVICE_KEY_PREFIX) and secret.isascii() and secret.isprintable()
    found = (
        ServiceKey.objects.usable(now).filter(prefix=secret[:SHOWN_LENGTH]).first() if shape_is_ours else None
    )
    if found is None or not secrets.compare_digest(found.digest, digest_of(secret)):
        raise InvalidServiceKey
    if found.last_used_at is None or now - found.last_used_at >= USE_RECORDED_EVERY:
        ServiceKey.objects.note_use(found, at=now)
    return found


def revoke_service_key(key: ServiceKey) -> None:
    """Shut the key out from the next request on; revoking again changes nothing."""
    ServiceKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def digest_of(secret: str) -> str:
    """SHA-256 in hex: enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode()).hexdigest()
