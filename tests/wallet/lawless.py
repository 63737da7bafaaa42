"""What the laws find in books that a test has broken."""

from wallet.books import laws
from wallet.models import Entry


def found() -> list[tuple[str, str, str]]:
    """Every violation: its law, its row, and the details."""
    return [(violation.law, violation.subject, violation.detail) for violation in laws.violations()]


def the(kind: str, user_id: str = "usr_1") -> str:
    """The id of the one entry of a kind."""
    return Entry.objects.get(kind=kind, wallet_id=user_id).pk
