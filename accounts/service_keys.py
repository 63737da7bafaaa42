"""Create, find and revoke service keys."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from accounts import key_secrets
from accounts.errors import InvalidServiceKey
from accounts.models import ServiceKey
from foundation.validators import validate_id

SERVICE_KEY_PREFIX = "wsk_"


def issue_service_key(
    *, product: str, feature_prefixes: Sequence[str] = (), expires_at: datetime | None = None
) -> tuple[ServiceKey, str]:
    """Create a key. Return the key and its secret, which is not stored and not shown again.

    Raises ValidationError if the product or a prefix is not valid.
    """
    for prefix in feature_prefixes:
        validate_id(prefix)
    secret, stored = key_secrets.new_secret(SERVICE_KEY_PREFIX)
    key = ServiceKey(
        product=product, feature_prefixes=list(feature_prefixes), expires_at=expires_at, **stored
    )
    key.full_clean(validate_unique=False)
    key.save(force_insert=True)
    return key, secret


def find_service_key(secret: str) -> ServiceKey:
    """Return the usable key with this secret. Raises InvalidServiceKey if there is none.

    Records the key's use, at most once a minute.
    """
    found = key_secrets.find(ServiceKey.objects.all(), secret)
    if found is None:
        raise InvalidServiceKey
    return found


def revoke_service_key(key: ServiceKey) -> None:
    """Revoke the key. It is refused from the next request on. Revoking a revoked key changes nothing."""
    ServiceKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
