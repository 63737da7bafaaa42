"""`msk_` keys: a creator's right to record and read, by scope. A secret is shown once."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import InvalidApiKey, KeyLimitReached, UnknownApiKey
from accounts.models import ApiKey, Plan, User
from accounts.service_keys import USE_RECORDED_EVERY, digest_of

API_KEY_PREFIX = "msk_"
SECRET_LENGTH = len(API_KEY_PREFIX) + 64
SHOWN_LENGTH = len(API_KEY_PREFIX) + 8
NAME_LENGTH = 80

# Every scope of MisarMail's keys (contract part B, 6.2). This service asks for three of them; a key is one
# key for all of MisarMail, so it may carry the others.
SCOPES = (
    "send",
    "send:transactional",
    "send:marketing",
    "contacts",
    "campaigns",
    "templates",
    "automations",
    "analytics",
    "validate",
    "track",
    "track:events",
    "track:purchase",
    "inbound",
    "inbound:read",
    "inbound:write",
    "ips",
    "ips:read",
    "ips:write",
    "sandbox",
    "monetization",
    "read",
    "write",
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
    """A new key and its secret, which is not stored and not shown again.

    Raises KeyLimitReached where the owner's plan has no room, unless `within_limit` is off, which is for
    operators. Two asked for at once take turns.
    """
    if within_limit:
        _require_room(owner)
    secret = API_KEY_PREFIX + secrets.token_hex(32)
    key = ApiKey.objects.create(
        owner=owner,
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        digest=digest_of(secret),
        scopes=list(dict.fromkeys(scopes)),
        allowed_account_id=allowed_account_id,
        expires_at=expires_at,
    )
    return key, secret


def find(secret: str) -> ApiKey:
    """The usable key of this secret, or InvalidApiKey. Notes the use, at most once a minute."""
    # Nothing of another shape is looked up: PostgreSQL would choke on a NUL.
    if len(secret) != SECRET_LENGTH or not secret.isascii() or not secret.isprintable():
        raise InvalidApiKey
    now = timezone.now()
    usable = ApiKey.objects.usable(now).select_related("owner")
    digest = digest_of(secret)
    # Several keys may share the eight characters that are shown.
    candidates = usable.filter(prefix=secret[:SHOWN_LENGTH], owner__is_active=True)
    found = next((key for key in candidates if secrets.compare_digest(key.digest, digest)), None)
    if found is None:
        raise InvalidApiKey
    if found.last_used_at is None or now - found.last_used_at >= USE_RECORDED_EVERY:
        ApiKey.objects.note_use(found, at=now)
    return found


def revoke(*, owner: User, key_id: UUID) -> None:
    """Shut a key of this owner out, from the next request on; UnknownApiKey where there is none."""
    standing = ApiKey.objects.filter(owner=owner, pk=key_id, revoked_at=None)
    if not standing.update(revoked_at=timezone.now()):
        raise UnknownApiKey


def _require_room(owner: User) -> None:
    # The owner's row is the lock, so that two requests cannot both take the last place.
    locked = User.objects.select_for_update().get(pk=owner.pk)
    limit = Plan.objects.get(pk=locked.plan_id).key_limit
    active = ApiKey.objects.usable(timezone.now()).filter(owner=locked)
    if limit is not None and active.count() >= limit:
        raise KeyLimitReached(limit)
