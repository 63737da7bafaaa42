"""What staff did. Each act is written once, with its reason, in the transaction of its effect."""

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
    """What a staff action did: the row, a summary, and the Misar ID of the user it concerns, "" for no user.

    `secret` is shown once, on the answer to the form, and never stored.
    """

    row: models.Model
    summary: str
    about: str = ""
    secret: str = ""


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
    form_data: Mapping[str, Sequence[str]],
    run: Callable[[], Done],
) -> Act:
    """Run a staff action and write down who did it to which row, and why.

    `page` is the address of the form, and `form_data` is what was sent with it. If `run` raises, everything
    is rolled back. A form that is sent again runs nothing and returns the first act. Raises KeyReused if its
    key was used with other content, OwnAffairs if the act concerns the staff member, and AccessRefused if the
    permission was taken away meanwhile. Acts of one staff member run one after another, so limits hold also
    for forms sent at the same time.
    """
    # Read the staff member again under the lock: the permission may have been taken away meanwhile.
    member = User.objects.select_for_update(no_key=True).get(pk=staff.pk)
    if not (member.is_active and member.is_staff and member.has_perm(permission)):
        raise AccessRefused("Your access was changed meanwhile")
    content = hashlib.sha256(json.dumps((page, dict(form_data)), sort_keys=True).encode()).hexdigest()
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
        told=done.summary,
        reason=reason,
        form_key=form_key,
        content=content,
        created_at=timezone.now(),
    )


def on_row(row: models.Model) -> models.QuerySet[Act]:
    """The acts on this row, newest first."""
    return Act.objects.filter(model=row._meta.label_lower, row_id=str(row.pk)).order_by("-created_at", "-pk")


def about_user(user_id: str) -> models.QuerySet[Act]:
    """The acts that concern this user, newest first."""
    return Act.objects.filter(about=user_id).order_by("-created_at", "-pk")
