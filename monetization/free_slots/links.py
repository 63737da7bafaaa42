"""Make, find and revoke the link to a creator's free days.

The token is 128 random bits and a signature. Only the random bits are stored, so a copy of the database opens
no link, and yet the dashboard can show the link again. A signature is valid as long as its key is SECRET_KEY
or one of SECRET_KEY_FALLBACKS.
"""

import secrets

from django.core.signing import BadSignature, Signer
from django.utils import timezone

from accounts.models import User
from monetization.free_slots.models import FreeSlotsLink


def make(*, creator: User, title: str = "") -> FreeSlotsLink:
    """Make a new link. A link that the creator had before no longer works."""
    values = {"nonce": secrets.token_urlsafe(16), "title": title, "created_at": timezone.now()}
    link, _ = FreeSlotsLink.objects.update_or_create(creator=creator, defaults=values)
    return link


def rename(*, creator: User, title: str) -> None:
    """Change the title of the creator's link. Without a link, this does nothing."""
    FreeSlotsLink.objects.filter(creator=creator).update(title=title)


def revoke(*, creator: User) -> None:
    """Remove the creator's link, which then opens nothing. Without a link, this does nothing."""
    FreeSlotsLink.objects.filter(creator=creator).delete()


def link_of(creator: User) -> FreeSlotsLink | None:
    """Return the creator's link."""
    return FreeSlotsLink.objects.filter(creator=creator).first()


def token_of(link: FreeSlotsLink) -> str:
    """Return the token that opens the link."""
    return _signer().sign(link.nonce)


def opened_by(token: str) -> FreeSlotsLink | None:
    """Return the link with this token; None if it is unknown, revoked, or its creator's account is closed."""
    try:
        nonce = _signer().unsign(token)
    except BadSignature:
        return None
    return FreeSlotsLink.objects.filter(nonce=nonce, creator__is_active=True).first()


def _signer() -> Signer:
    return Signer(salt="monetization.free_slots")
