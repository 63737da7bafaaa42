"""From an e-mail address to the users who have it."""

from accounts.models import User

# An address is not unique; more than this many users of one is nobody's question.
USERS_MAX = 20


def ids_with_address(address: str) -> list[str]:
    """The Misar IDs of the users with this e-mail address, in whatever case it was typed; 20 at most."""
    found = User.objects.filter(email__iexact=address).order_by("pk").values_list("pk", flat=True)
    return list(found[:USERS_MAX]) if address else []
