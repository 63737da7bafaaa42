"""How the books name who caused an entry."""

from accounts.models import User


def actor_of(staff: User) -> str:
    """How the books name a member of staff."""
    return f"user:{staff.pk}"
