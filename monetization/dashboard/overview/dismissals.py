"""What a creator dismissed on the overview: the first steps, and lines about bookkeeping.

It is stored in the creator's row of rules, not in the session: a session ends after some hours, and the
creator's other devices have their own.
"""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db import transaction

from accounts.models import User
from monetization.figures.attention import TIPS_COUNTED, Line
from monetization.models import Earner

FIRST_STEPS, BOOKKEEPING = "first_steps", "bookkeeping"


class DismissalForm(forms.Form):
    """A part of the overview that the creator dismisses, and the numbers in the lines of the page."""

    part = forms.ChoiceField(choices=[(FIRST_STEPS, ""), (BOOKKEEPING, "")])
    no_stripe_id = forms.IntegerField(required=False, min_value=0, max_value=TIPS_COUNTED + 1)
    unknown_interval = forms.IntegerField(required=False, min_value=0, max_value=2**31)


def of_creator(creator: User) -> dict[str, Any]:
    """Return what the creator dismissed, by part. This takes one query."""
    row = Earner.objects.filter(pk=creator.pk).values_list("dismissed", flat=True).first()
    return row or {}


def dismiss(creator: User, part: str, numbers: dict[str, int]) -> None:
    """Store that the creator dismissed a part of the overview. `numbers` are those of its lines, by kind."""
    Earner.objects.bulk_create([Earner(creator=creator)], ignore_conflicts=True)
    with transaction.atomic():
        row = Earner.objects.select_for_update().get(pk=creator.pk)
        row.dismissed[part] = numbers
        row.save(update_fields=["dismissed"])


def not_dismissed(lines: Iterable[Line], dismissed: dict[str, Any]) -> list[Line]:
    """Return the lines about bookkeeping that count more records than when the creator dismissed them.

    Lines are dismissed together. If one of them counts more, all come back.
    """
    lines, seen = list(lines), dismissed.get(BOOKKEEPING, {})
    return lines if any(line.number > seen.get(line.kind, 0) for line in lines) else []
