"""The API keys (`msk_...`) of creators' servers. The scopes of a key say what the key may do."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import key_secrets
from accounts.errors import InvalidApiKey, KeyLimitReached, UnknownApiKey
from accounts.models import ApiKey, Plan, User

API_KEY_PREFIX = "msk_"
NAME_LENGTH = 80

# Every scope of MisarMail's keys (contract part B, 6.2). This service uses a few of these scopes. A key works
# in all of MisarMail, so it may also have scopes that this service does not use.
SCOPES = tuple(
    "send send:transactional send:marketing contacts campaigns templates automations analytics validate "
    "track track:events track:purchase inbound inbound:read inbound:write ips ips:read ips:write sandbox "
    "monetization read write".split()
)
DEFAULT_SCOPES = ("send",)


@transaction.atomic
def issue(
    *,
    owner: User,
    name: str,
    scopes: Sequence[str] = DEFAULT_SCOPES,
    allowed_account_id: UUID | None = None,
    expires_at: datetime | None = None,
    within_limit: bool = True,
) -> tuple[ApiKey, str]:
    """Create a key. Return the key and its secret. The secret is not stored and cannot be shown again.

    Raises KeyLimitReached if the owner's plan allows no further key. Two requests of one owner never run this
    check at the same time. `within_limit=False` skips this check; only operators may skip it.
    """
    if within_limit:
        _require_room(owner)
    secret, stored = key_secrets.new_secret(API_KEY_PREFIX)
    key = ApiKey.objects.create(
        owner=owner,
        name=name,
        scopes=list(dict.fromkeys(scopes)),
        allowed_account_id=allowed_account_id,
        expires_at=expires_at,
        **stored,
    )
    return key, secret


def find(secret: str) -> ApiKey:
    """Return the usable key with this secret. Raise InvalidApiKey if no active owner has such a key.

    The use of the key is recorded at most once a minute.
    """
    found = key_secrets.find(_usable, secret)
    if found is None:
        raise InvalidApiKey
    return found


def revoke(*, owner: User, key_id: UUID) -> None:
    """Revoke a key of this owner. The next request with this key is refused.

    Raises UnknownApiKey if the owner has no such key, or if it is already revoked.
    """
    standing = ApiKey.objects.filter(owner=owner, pk=key_id, revoked_at=None)
    if not standing.update(revoked_at=timezone.now()):
        raise UnknownApiKey


def _usable(prefix: str, at: datetime) -> Iterable[ApiKey]:
    keys = ApiKey.objects.usable(at).filter(prefix=prefix, owner__is_active=True)
    return keys.select_related("owner")


def _require_room(owner: User) -> None:
    # Lock the owner's row, so that two parallel requests cannot both create the last key of the plan's limit.
    locked = User.objects.select_for_update().get(pk=owner.pk)
    limit = Plan.objects.get(pk=locked.plan_id).key_limit
    active = ApiKey.objects.usable(timezone.now()).filter(owner=locked)
    if limit is not None and active.count() >= limit:
        raise KeyLimitReached(limit)
