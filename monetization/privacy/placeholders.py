"""What stands where an erased reader's address was."""

STAND_IN_DOMAIN = "erased.invalid"  # .invalid is nobody's, for ever (RFC 2606).


def is_erased(email: str) -> bool:
    """Whether this is the stand-in of an erased reader, in any case, which is nobody's address."""
    return email.lower().endswith(f"@{STAND_IN_DOMAIN}")
