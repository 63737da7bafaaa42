"""The stand-in for an erased reader's address."""

STAND_IN_DOMAIN = "erased.invalid"  # No one can ever own a name under .invalid (RFC 2606).


def is_erased(email: str) -> bool:
    """Whether this is the stand-in of an erased reader, in any case."""
    return email.lower().endswith(f"@{STAND_IN_DOMAIN}")
