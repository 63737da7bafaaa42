"""Identifiers on the wire: a prefix and a lower-case ULID, `txn_01jb3k...`.

A ULID carries its millisecond and 80 random bits (https://github.com/ulid/spec), so rows made later
sort later and no central sequence is needed.
"""

from ulid import ULID

# The longest prefix in use and 26 characters of ULID, with room.
IDENTIFIER_LENGTH = 40


def new(prefix: str) -> str:
    """A new identifier such as `txn_01jb3kq2w8z6h6c1d1e0r2m4aa`."""
    return f"{prefix}_{str(ULID()).lower()}"
