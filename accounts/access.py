"""Who may enter the back-office."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import User


@transaction.atomic
def set_access(*, user: User, is_active: bool, is_staff: bool, groups: Iterable[Group]) -> None:
    """Let somebody in, or shut them out from the next request on."""
    User.objects.filter(pk=user.pk).update(is_active=is_active, is_staff=is_staff)
    user.groups.set(groups)
