"""What the laws find in books that a test has broken."""

from wallet.books import laws
from wallet.models import Entry

SUMS = "What came in less what went out is what wallets hold"


def found() -> list[tuple[str, str, str]]:
    """Every violation: its law, its row, and the details.

    The law of the whole sum is left out. Many violations break it too, and it has tests of its own.
    """
    return [(each.law, each.subject, each.detail) for each in laws.violations() if each.law != SUMS]


def the(kind: str, user_id: str = "usr_1") -> str:
    """The id of the one entry of a kind."""
    return Entry.objects.get(kind=kind, wallet_id=user_id).pk
