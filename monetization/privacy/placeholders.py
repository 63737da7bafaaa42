"""The stand-in that replaces the address of an erased reader."""

from foundation.mailboxes import mailbox_of

STAND_IN_DOMAIN = "erased.invalid"  # No one can ever own a name under .invalid (RFC 2606).


def is_erased(email: str) -> bool:
    """Return whether this is the stand-in of an erased reader, in any spelling."""
    return mailbox_of(email).endswith(f"@{STAND_IN_DOMAIN}")
