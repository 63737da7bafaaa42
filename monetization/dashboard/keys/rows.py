"""What the list of keys says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import ApiKey, User
from foundation import words
from foundation.words import NAME_SHOWN
from monetization.dashboard.tags import Tag

# --- Keys -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyRow:
    """A key in the list. Its secret is nowhere."""

    pk: str
    name: str
    prefix: str
    scopes: str
    state: Tag
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    can_revoke: bool


def key_rows(keys: Sequence[ApiKey], *, at: datetime) -> list[KeyRow]:
    """Keys as they are at that moment; those that were revoked come last."""
    keys = sorted(keys, key=lambda key: key.revoked_at is not None)
    return [
        KeyRow(
            pk=str(key.pk),
            name=words.shortened(key.name, NAME_SHOWN),
            prefix=f"{key.prefix}…",
            scopes=", ".join(key.scopes),
            state=_key_state(key, at),
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            expires_at=key.expires_at,
            can_revoke=key.revoked_at is None,
        )
        for key in keys
    ]


def _key_state(key: ApiKey, at: datetime) -> Tag:
    if key.revoked_at:
        return Tag("Revoked", "")
    return Tag("Active", "good") if key.is_usable(at) else Tag("Expired", "warn")


def more_revoked(count: int) -> str:
    """How many revoked keys are not in the list, in a sentence; empty for none.

    >>> more_revoked(1), more_revoked(2), more_revoked(0)
    ('1 more key was revoked earlier.', '2 more keys were revoked earlier.', '')
    """
    if count == 0:
        return ""
    return f"{words.count(count, 'more key')} {'was' if count == 1 else 'were'} revoked earlier."


def key_limit(creator: User, active: int) -> str:
    """How many keys the creator's plan allows, and how many there are, in a sentence."""
    limit = creator.plan.key_limit
    if limit is None:
        return f"Your plan, {creator.plan.name}, allows any number of active keys."
    allowed = "1 active key" if limit == 1 else f"{limit} active keys"
    room = "you have none" if active == 0 else f"you have {active}"
    return f"Your plan, {creator.plan.name}, allows {allowed}; {room}."
