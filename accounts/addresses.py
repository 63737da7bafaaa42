"""Which users have an e-mail address."""

from accounts.models import User

# An address is not unique. With more users than this, a search by it is of no use.
USERS_MAX = 20


def ids_with_address(address: str) -> list[str]:
    """The Misar IDs of the users with this e-mail address, in any case; 20 at most."""
    ids = User.objects.filter(email__iexact=address).order_by("pk").values_list("pk", flat=True)
    return list(ids[:USERS_MAX]) if address else []
