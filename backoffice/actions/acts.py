"""Acts: the records of what staff did. An act is saved once, with its reason, in the action's transaction."""

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

# Of so many acts about a user, the newest by their times, the one that was saved last is looked for.
NEWEST = 20


@dataclass(frozen=True)
class Done:
    """The result of a staff action: the row, a summary, and the Misar ID of the user that the act is about.

    `about` is "" if the act is about no user. `secret` is shown once, right after the form was sent, and is
    never stored.
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
    """Run a staff action and save an act: which staff member did what to which row, and why.

    `page` is the URL of the form, and `form_data` is what the staff member sent with it. If `run` raises, the
    transaction is rolled back. If the same form is sent again, nothing runs and the first act is returned.

    Raises KeyReused if the form key was used before with other content, OwnAffairs if the act is about the
    staff member, and AccessRefused if the staff member has lost the permission. The acts of one staff member
    run one after another, so limits also hold for forms that are sent at the same time.
    """
    # Lock the staff member and read the row again: the permission may have been taken away since the request
    # began.
    member = User.objects.select_for_update(no_key=True).get(pk=staff.pk)
    if not (member.is_active and member.is_staff and member.has_perm(permission)):
        raise AccessRefused("Your access was changed meanwhile")
    content = hashlib.sha256(json.dumps((page, dict(form_data)), sort_keys=True).encode()).hexdigest()
    if first := of_form(staff, form_key):
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


def of_form(staff: User, form_key: str) -> Act | None:
    """Return the act that a form of this staff member has saved, or None."""
    return Act.objects.filter(staff=staff, form_key=form_key).first()


def on_row(row: models.Model) -> models.QuerySet[Act]:
    """Return the acts on this row, newest first."""
    return Act.objects.filter(model=row._meta.label_lower, row_id=str(row.pk)).order_by("-created_at", "-pk")


def newest_about(user_id: str) -> Act | None:
    """Return the act about this user that was saved last; None if there is none, and for "".

    Host clocks differ, so a later act can carry an earlier time. It has the larger number.
    """
    if not user_id:
        return None
    return max(about_user(user_id)[:NEWEST], key=lambda act: act.pk, default=None)


def about_user(user_id: str) -> models.QuerySet[Act]:
    """Return the acts about this user, newest first."""
    return Act.objects.filter(about=user_id).order_by("-created_at", "-pk")
