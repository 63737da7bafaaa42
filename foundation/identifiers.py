"""Identifiers: a prefix and a lower-case ULID, such as `txn_01jb3k...`.

A ULID contains its creation time in milliseconds and 80 random bits (https://github.com/ulid/spec). So newer
rows sort after older rows, and no central sequence is needed.
"""

from collections.abc import Callable

from django.db import models
from ulid import ULID

# More than enough for the longest prefix in use and the 26 characters of a ULID.
IDENTIFIER_LENGTH = 40


def new(prefix: str) -> str:
    """Return a new identifier such as `txn_01jb3kq2w8z6h6c1d1e0r2m4aa`."""
    return f"{prefix}_{str(ULID()).lower()}"


def primary_key(default: Callable[[], str]) -> "models.CharField[str, str]":
    """Return a primary key field for such identifiers. `default` makes the identifier of a new row."""
    return models.CharField(primary_key=True, max_length=IDENTIFIER_LENGTH, default=default, editable=False)
