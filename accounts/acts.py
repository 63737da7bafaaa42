"""What staff did: each act once, with its reason, in the transaction of what it did."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from django.db import models, transaction
from django.utils import timezone

from accounts.errors import FormUsed, OwnAffairs
from accounts.models import Act, User
from misar_billing.transactions import retried


def actor_of(staff: User) -> str:
    """How the books name a member of staff."""
    return f"user:{staff.pk}"


@retried
@transaction.atomic
def perform(
    *,
    staff: User,
    page: str,
    verb: str,
    label: str,
    about: Callable[[models.Model], str],
    reason: str,
    form_key: str,
    asked: Mapping[str, Sequence[str]],
    run: Callable[[], tuple[models.Model, str]],
) -> Act:
    """Run a verb and write down who did it to which row, and why.

    `page` is the address of the form and `asked` what was sent with it; `run` answers with the row and what
    to tell, and what it raises undoes everything. The same form again runs nothing and returns the first
    act. Raises FormUsed where it asks for something else, and OwnAffairs where the row is the member's own.
    A member's acts are done one at a time, so that limits hold however many forms are sent at once.
    """
    User.objects.select_for_update(no_key=True).get(pk=staff.pk)
    content = _digest(page, dict(asked))
    if first := Act.objects.filter(staff=staff, form_key=form_key).first():
        if first.content != content:
            raise FormUsed
        return first
    row, told = run()
    whose = about(row)
    if whose == staff.pk:
        raise OwnAffairs
    return Act.objects.create(
        staff=staff,
        verb=verb,
        label=label,
        model=row._meta.label_lower,
        row_id=str(row.pk),
        about=whose,
        told=told,
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
