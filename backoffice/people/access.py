"""Change which users may enter the back-office. The rules say which staff members may make such a change."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import User
from accounts.signing_in import second_factor
from backoffice.errors import AccessRefused


@transaction.atomic
def set_access(*, user: User, is_active: bool, is_staff: bool, groups: Iterable[Group], by: User) -> None:
    """Change a user's access and roles. The change applies from the user's next request on.

    Raises AccessRefused if `by` is the user, if the user is a superuser and `by` is not, or if after the
    change no superuser could enter the back-office.
    """
    _require_may_change(user, by=by)
    # Lock all superusers, always in the same order. If two superusers remove each other at the same time, the
    # second request is refused.
    enter = User.objects.select_for_update().filter(is_superuser=True, is_active=True, is_staff=True)
    can_enter = set(enter.order_by("pk").values_list("pk", flat=True))
    stays = is_active and is_staff
    if user.pk in can_enter and not stays and not can_enter - {user.pk}:
        raise AccessRefused("This is the last superuser who can enter, so no one could undo this")
    User.objects.filter(pk=user.pk).update(is_active=is_active, is_staff=is_staff)
    user.groups.set(groups)


@transaction.atomic
def reset_second_factor(*, user: User, by: User) -> bool:
    """Remove a user's second factor, so that the user can set up another one. Return False if there was none.

    Raises AccessRefused if `by` is the user, or if the user is a superuser and `by` is not.
    """
    _require_may_change(user, by=by)
    return second_factor.reset(user)


def _require_may_change(user: User, *, by: User) -> None:
    if user.pk == by.pk:
        raise AccessRefused("You can't change your own access; ask a colleague")
    if user.is_superuser and not by.is_superuser:
        raise AccessRefused("Only a superuser can change a superuser's access")
