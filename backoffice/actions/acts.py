"""What staff did: each act once, with its reason, in the transaction of what it did."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import models, transaction
from django.utils import timezone

from accounts.models import Act, User
from backoffice.errors import AccessRefused, OwnAffairs
from foundation.database.transactions import retried
from foundation.errors import KeyReused


@dataclass(frozen=True)
class Done:
    """What a verb did: to which row, in words, and whose affairs it touched ("" for nobody's)."""

    row: models.Model
    told: str
    about: str = ""


@retried
@transaction.atomic
def perform(
    *,
    staff: User,
    permission: str,
    page: str,
    verb: str,
    label: str,
    reason: str,
    form_key: str,
    asked: Mapping[str, Sequence[str]],
    run: Callable[[], Done],
) -> Act:
    """Run a verb and write down who did it to which row, and why.

    `page` is the address of the form and `asked` what was sent with it; what `run` raises undoes everything.
    The same form again runs nothing and returns the first act. Raises KeyReused where it asks for something
    else, OwnAffairs where the row is the member's own, and AccessRefused where the permission was taken
    while the form waited. A member's acts are done one at a time, so that limits hold however many forms
    are sent at once.
    """
    # As they are now: their rights may have been taken while this form waited for the lock.
    now = User.objects.select_for_update(no_key=True).get(pk=staff.pk)
    if not (now.is_active and now.is_staff and now.has_perm(permission)):
        raise AccessRefused("Your access was changed meanwhile")
    content = _digest(page, dict(asked))
    if first := Act.objects.filter(staff=staff, form_key=form_key).first():
        if first.content != content:
            raise KeyReused
        return first
    done = run()
    if done.about == staff.pk:
        raise OwnAffairs
    return Act.objects.create(
        staff=staff,
        verb=verb,
        label=label,
        model=done.row._meta.label_lower,
        row_id=str(done.row.pk),
        about=done.about,
        told=done.told,
        reason=reason,
        form_key=form_key,
        content=content,
        created_at=timezone.now(),
    )


def on_row(row: models.Model) -> models.QuerySet[Act]:
    """What was done to this row, newest first."""
    return Act.objects.filter(model=row._meta.label_lower, row_id=str(row.pk)).order_by("-created_at", "-pk")


def about_user(user_id: str) -> models.QuerySet[Act]:
    """What was done in this user's affairs, newest first."""
    return Act.objects.filter(about=user_id).order_by("-created_at", "-pk")


def _digest(*asked: object) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
