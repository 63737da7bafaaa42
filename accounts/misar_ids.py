"""The one rule for Misar IDs, in body, query and token (contract 6)."""

from django.core.exceptions import ValidationError

MISAR_ID_LENGTH = 255
# Staff who sign in with a password. A token whose subject begins so is refused.
STAFF_PREFIX = "staff:"


def is_misar_id(value: object) -> bool:
    """Whether this is an opaque string of 1 to 255 printable characters."""
    return isinstance(value, str) and 1 <= len(value) <= MISAR_ID_LENGTH and value.isprintable()


def is_users_id(value: object) -> bool:
    """Whether this can be the Misar ID of an SSO user, who is no member of staff by password."""
    return is_misar_id(value) and not str(value).startswith(STAFF_PREFIX)


def validate_misar_id(value: str) -> None:
    """The same for a model field."""
    if not is_misar_id(value):
        raise ValidationError("A Misar ID is 1 to 255 printable characters.")
