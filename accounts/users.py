"""Users as the SSO issuer knows them: the row is made when somebody first signs in."""

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.errors import ForeignSubject
from accounts.misar_ids import is_users_id
from accounts.models import User

NAME_LENGTH = 200
EMAIL_LENGTH = 254


def known_as(misar_id: str) -> User:
    """The user of that Misar ID, made if need be. Raises ForeignSubject for an id that no SSO user has."""
    if not is_users_id(misar_id):
        raise ForeignSubject
    user, _ = User.objects.get_or_create(misar_id=misar_id, defaults={"password": make_password(None)})
    return user


def arrive(*, misar_id: str, name: object = "", email: object = "") -> User:
    """The user who signs in, named and reached as the issuer says now.

    Only the Misar ID tells who it is: an address that another user has links nothing. What is no name or no
    address is left out. Raises ForeignSubject.
    """
    user = known_as(misar_id)
    said = (_name(name), _email(email))
    if (user.name, user.email) != said:
        user.name, user.email = said
        user.save(update_fields=["name", "email"])
    return user


def _name(said: object) -> str:
    return said[:NAME_LENGTH] if isinstance(said, str) and said.isprintable() else ""


def _email(said: object) -> str:
    if not isinstance(said, str) or len(said) > EMAIL_LENGTH:
        return ""
    try:
        validate_email(said)
    except ValidationError:
        return ""
    return said
