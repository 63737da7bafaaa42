"""The roles of staff, and how much each may do."""

from collections.abc import Mapping

from accounts.models import User

# What they may do stands in misar_billing/backoffice/roles.py, which makes them.
NAMES = ("support", "billing", "admin")


def roles_of(staff: User) -> list[str]:
    """The names of somebody's roles, in the order of the alphabet."""
    return sorted(staff.groups.values_list("name", flat=True))


def allowance(staff: User, table: Mapping[str, int]) -> int | None:
    """How much somebody may do by a table of limits by role: the largest of their roles.

    None, which is no limit by role, for a superuser; 0 where the table names none of their roles.
    """
    if staff.is_superuser:
        return None
    return max((table.get(role, 0) for role in roles_of(staff)), default=0)
