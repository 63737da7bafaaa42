"""Create and update the rows of users who sign in with the SSO issuer."""

from django.contrib.auth.hashers import make_password

from accounts.errors import ForeignSubject
from accounts.misar_ids import is_users_id
from accounts.models import User
from foundation.mailboxes import is_address, stored_mailbox
from foundation.text import beginning, is_text

NAME_LENGTH = 200
EMAIL_LENGTH = 254


def known_as(misar_id: str) -> User:
    """Return the user with this Misar ID. If there is no such user, create one.

    Raises ForeignSubject if no SSO user can have this Misar ID.
    """
    if not is_users_id(misar_id):
        raise ForeignSubject
    user, _ = User.objects.get_or_create(misar_id=misar_id, defaults={"password": make_password(None)})
    return user


def arrive(*, misar_id: str, name: object = "", email: object = "") -> User:
    """Return the user who signs in, and save the name and the e-mail address that the issuer sends now.

    Only the Misar ID identifies a user: two users may have the same e-mail address. If the issuer sends no
    name or no address, or an invalid one, the user keeps the one that is known. Raises ForeignSubject if no
    SSO user can have this Misar ID.
    """
    user = known_as(misar_id)
    current = (_name(name) or user.name, _email(email) or user.email)
    if (user.name, user.email) != current:
        user.name, user.email = current
        user.mailbox = stored_mailbox(user.email, compared=user.email)
        user.save(update_fields=["name", "email", "mailbox"])
    return user


def _name(value: object) -> str:
    name = beginning(value, NAME_LENGTH) if isinstance(value, str) else ""
    return name if is_text(name) else ""


def _email(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= EMAIL_LENGTH and is_address(value) else ""
