"""Identifiers on the wire: a prefix and a lower-case ULID, `txn_01jb3k...`.

A ULID holds its millisecond and 80 random bits (https://github.com/ulid/spec): later rows sort later, and no
central sequence is needed.
"""

from collections.abc import Callable

from django.db import models
from ulid import ULID

# The longest prefix in use and 26 characters of ULID, with room.
IDENTIFIER_LENGTH = 40


def new(prefix: str) -> str:
    """A new identifier such as `txn_01jb3kq2w8z6h6c1d1e0r2m4aa`."""
    return f"{prefix}_{str(ULID()).lower()}"


def primary_key(default: Callable[[], str]) -> "models.CharField[str, str]":
    """The primary key of a model whose rows have such identifiers."""
    return models.CharField(primary_key=True, max_length=IDENTIFIER_LENGTH, default=default, editable=False)
