"""Create, find, limit and revoke service keys, and stop the product of a key."""

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import key_secrets
from accounts.errors import FeatureNotAllowed, InvalidServiceKey, MissingRight, ProductStopped
from accounts.models import DEFAULT_RIGHTS, Right, ServiceKey, StoppedProduct
from foundation.validators import validate_id

SERVICE_KEY_PREFIX = "wsk_"
# The largest caps on what a product may grant, in credits: at a time, and in a UTC month.
GRANT_MAX, GRANT_MONTH_MAX = 1_000_000, 1_000_000_000

# How long a process remembers a key that it has looked up, and how many keys.
REMEMBERED_FOR = timedelta(seconds=30)
REMEMBERED_MAX = 10_000  # Then all are forgotten, and read again when they are needed.

# By digest: the key, and when it was looked up.
_remembered: dict[str, tuple[ServiceKey, datetime]] = {}

# Most requests of products begin with this query. Django takes several times as long to build it as
# PostgreSQL takes to answer it, so it is written out.
USABLE_KEYS = """
SELECT id, product, prefix, digest, feature_prefixes, rights, grant_max, grant_month_max, created_at,
       expires_at, revoked_at,
       (SELECT stopped_at FROM accounts_stoppedproduct AS stop WHERE stop.product = service_key.product)
       AS product_stopped_at
  FROM accounts_servicekey AS service_key
 WHERE prefix = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %s)
"""


def issue_service_key(
    *,
    product: str,
    feature_prefixes: Sequence[str] = (),
    rights: Sequence[str] = DEFAULT_RIGHTS,
    grant_max: int | None = None,
    grant_month_max: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[ServiceKey, str]:
    """Create a key. Return the key and its secret, which is not stored and not shown again.

    A key with the right to grant needs both caps (in credits): `grant_max` of one grant, and
    `grant_month_max` of what the product may grant in a UTC month. Raises ValidationError if the product, a
    prefix, a right or a cap is not valid, or if `rights` is empty.
    """
    for prefix in feature_prefixes:
        validate_id(prefix)
    secret, stored = key_secrets.new_secret(SERVICE_KEY_PREFIX)
    key = ServiceKey(
        product=product,
        feature_prefixes=list(feature_prefixes),
        rights=_known(rights),
        **_caps(rights, grant_max, grant_month_max),
        expires_at=expires_at,
        **stored,
    )
    key.full_clean(validate_unique=False)
    key.save(force_insert=True)
    return key, secret


def find_service_key(secret: str) -> ServiceKey:
    """Return the usable key with this secret. Raises InvalidServiceKey if there is none.

    Records the key's use, at most once a minute. One query reads the key and when its product was stopped.
    """
    found = key_secrets.find(_usable, secret)
    if found is None:
        raise InvalidServiceKey
    if len(_remembered) >= REMEMBERED_MAX:
        _remembered.clear()
    _remembered[found.digest] = as_remembered(found), timezone.now()
    return found


def remembered(secret: str) -> ServiceKey | None:
    """Return the key with this secret, if this process has just looked it up and it was allowed to charge.

    It may have been revoked since. A caller proves that it is usable in the transaction that moves credits,
    and looks the key up before it refuses a request.
    """
    key, at = _remembered.get(key_secrets.digest_of(secret), (None, None))
    if key is None or at is None or not timedelta() <= timezone.now() - at < REMEMBERED_FOR:
        return None
    return key if key.may(Right.CHARGE) and key.product_stopped_at is None else None


def as_remembered(key: ServiceKey) -> ServiceKey:
    """Return a copy of a key that is looked up again before it is relied on."""
    kept = copy(key)
    kept.is_remembered = True
    return kept


def looked_up(key: ServiceKey) -> ServiceKey:
    """Return a remembered key as it is now, and any other key as it is given.

    Raises InvalidServiceKey if the key was remembered and is no longer usable.
    """
    return read_again(key) if key.is_remembered else key


def read_again(key: ServiceKey) -> ServiceKey:
    """Return the key as it is now. Raises InvalidServiceKey if it is no longer usable."""
    usable = _usable(key.prefix, timezone.now())
    found = next((each for each in usable if each.pk == key.pk), None)
    if found is None:
        raise InvalidServiceKey
    return found


def revoke_service_key(key: ServiceKey) -> None:
    """Revoke the key. It is refused from the next request on. Revoking a revoked key changes nothing."""
    ServiceKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def require_may_charge(key: ServiceKey, feature: str) -> None:
    """Check that the key may charge a feature, or set its price aside.

    Raises MissingRight if the key lacks the right to charge, ProductStopped if staff have stopped its
    product, and FeatureNotAllowed if its prefixes don't allow the feature.
    """
    if not key.may(Right.CHARGE):
        raise MissingRight(Right.CHARGE.value, words=Right.CHARGE.label)
    if key.product_stopped_at is not None:
        raise ProductStopped
    if not key.may_charge(feature):
        raise FeatureNotAllowed(feature)


def set_rights(
    key: ServiceKey,
    rights: Sequence[str],
    *,
    grant_max: int | None = None,
    grant_month_max: int | None = None,
) -> None:
    """Give the key these rights and no others. They apply from the next request on.

    The caps are those of `issue_service_key`. Raises ValidationError if a right is unknown, if `rights` is
    empty, or if the key may grant and a cap is missing.
    """
    caps = _caps(rights, grant_max, grant_month_max)
    ServiceKey.objects.filter(pk=key.pk).update(rights=_known(rights), **caps)


def stop_product(product: str) -> bool:
    """Stop a product: from the next request on, its keys may charge nothing, and later keys neither.

    Return False if the product is already stopped. Nothing changes then.
    """
    _, is_new = StoppedProduct.objects.get_or_create(product=product)
    return is_new


def let_product_go_on(product: str) -> bool:
    """Let a stopped product charge again. Return False if it is not stopped. Nothing changes then."""
    deleted, _ = StoppedProduct.objects.filter(product=product).delete()
    return bool(deleted)


def _usable(prefix: str, at: datetime) -> Iterable[ServiceKey]:
    return ServiceKey.objects.raw(USABLE_KEYS, [prefix, at])


def _caps(rights: Sequence[str], grant_max: int | None, grant_month_max: int | None) -> dict[str, int | None]:
    """Return the caps of a key with these rights: none if it may not grant. Raise ValidationError."""
    if Right.GRANT not in rights:
        return {"grant_max": None, "grant_month_max": None}
    if grant_max is None or grant_month_max is None:
        raise ValidationError("A key that may grant needs two caps: of one grant, and of a month")
    if not 1 <= grant_max <= GRANT_MAX or not 1 <= grant_month_max <= GRANT_MONTH_MAX:
        raise ValidationError(
            f"The cap of a grant is 1 to {GRANT_MAX:,} credits, and that of a month 1 to {GRANT_MONTH_MAX:,}"
        )
    return {"grant_max": grant_max, "grant_month_max": grant_month_max}


def _known(rights: Sequence[str]) -> list[str]:
    """Return the rights in the order of `Right`, each once. Raise ValidationError if they are not valid."""
    if unknown := sorted(set(rights) - set(Right.values)):
        raise ValidationError(f"Unknown rights: {', '.join(unknown)}. Known: {', '.join(Right.values)}")
    if not rights:
        raise ValidationError(f"A key needs at least one right: {', '.join(Right.values)}")
    return [right.value for right in Right if right in rights]
