"""Find the users with a given e-mail address."""

from accounts.models import User

# Several users may have the same address. A search does not need more users than this.
USERS_MAX = 20


def ids_with_address(address: str) -> list[str]:
    """Return the Misar IDs of at most 20 users with this mailbox, in any spelling."""
    if not address or "\0" in address:  # PostgreSQL refuses NUL.
        return []
    ids = User.objects.filter(User.in_mailbox(address)).order_by("pk").values_list("pk", flat=True)
    return list(ids[:USERS_MAX])
