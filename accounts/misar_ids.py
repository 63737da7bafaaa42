"""The rule for Misar IDs. It applies to the ids in a body, in a query and in a token (contract 6)."""

from django.core.exceptions import ValidationError

from foundation.text import is_id

MISAR_ID_LENGTH = 255
# The Misar ID of staff who sign in with a password begins with this. A token with such a subject is refused.
STAFF_PREFIX = "staff:"


def is_misar_id(value: object) -> bool:
    """Return whether the value is a string of 1 to 255 printable characters, of which one is visible."""
    return isinstance(value, str) and 1 <= len(value) <= MISAR_ID_LENGTH and is_id(value)


def is_users_id(value: object) -> bool:
    """Return whether the value is a Misar ID that an SSO user can have: it does not begin with `staff:`."""
    return is_misar_id(value) and not str(value).startswith(STAFF_PREFIX)


def validate_misar_id(value: str) -> None:
    """Raise ValidationError if the value is no Misar ID. Model fields use this."""
    if not is_misar_id(value):
        raise ValidationError("A Misar ID is 1 to 255 printable characters.")
