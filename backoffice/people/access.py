"""Who may enter the back-office, and who may say so."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import User
from accounts.signing_in import second_factor
from backoffice.errors import AccessRefused


@transaction.atomic
def set_access(*, user: User, is_active: bool, is_staff: bool, groups: Iterable[Group], by: User) -> None:
    """Let somebody in, or shut them out from the next request on.

    Raises AccessRefused for one's own access, for a superuser's unless another one asks, and where no
    superuser could enter any more.
    """
    _require_may_change(user, by=by)
    # All of them, in one order: two who shut each other out take turns, and the second is too late.
    enter = User.objects.select_for_update().filter(is_superuser=True, is_active=True, is_staff=True)
    can_enter = set(enter.order_by("pk").values_list("pk", flat=True))
    stays = is_active and is_staff
    if user.pk in can_enter and not stays and not can_enter - {user.pk}:
        raise AccessRefused("This is the last superuser who can enter: nobody could undo this")
    User.objects.filter(pk=user.pk).update(is_active=is_active, is_staff=is_staff)
    user.groups.set(groups)


@transaction.atomic
def reset_second_factor(*, user: User, by: User) -> bool:
    """Let a colleague who lost their phone set up another one; False where there was nothing to forget.

    Raises AccessRefused for one's own, and for a superuser's unless another one asks.
    """
    _require_may_change(user, by=by)
    return second_factor.reset(user)


def _require_may_change(user: User, *, by: User) -> None:
    if user.pk == by.pk:
        raise AccessRefused("Nobody changes their own access: ask a colleague")
    if user.is_superuser and not by.is_superuser:
        raise AccessRefused("Only a superuser changes the access of a superuser")
