"""Validators of Django's forms for texts and ids. `foundation.text` has the rules."""

from django.core.exceptions import ValidationError

from foundation.text import is_printable, is_printable_in_ids, is_visible

UNPRINTABLE = "Printable characters only."
INVISIBLE = "Use at least one character that shows."


def validate_line(value: str) -> None:
    """Raise ValidationError unless the value is free text in one line that shows something."""
    _validate(value, printable=is_printable(value))


def validate_lines(value: str) -> None:
    """Raise ValidationError unless the value is free text, in any number of lines, that shows something."""
    _validate(value, printable=is_printable(value.replace("\r\n", "").replace("\n", "")))


def validate_id(value: str) -> None:
    """Raise ValidationError unless the value is an id."""
    _validate(value, printable=is_printable_in_ids(value))


def _validate(value: str, *, printable: bool) -> None:
    if not printable:
        raise ValidationError(UNPRINTABLE)
    if not is_visible(value):
        raise ValidationError(INVISIBLE)
