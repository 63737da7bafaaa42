"""What a creator dismissed on the overview: the first steps, and lines about bookkeeping.

It is stored in the creator's row of rules, not in the session: a session ends after some hours, and the
creator's other devices have their own.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.db import transaction

from accounts.models import User
from monetization.figures.attention import TIPS_COUNTED, Line
from monetization.models import Earner

FIRST_STEPS, BOOKKEEPING = "first_steps", "bookkeeping"


class DismissalForm(forms.Form):
    """A part of the overview that the creator dismisses, and what the lines of the page counted."""

    part = forms.ChoiceField(choices=[(FIRST_STEPS, ""), (BOOKKEEPING, "")])
    no_stripe_id = forms.IntegerField(required=False, min_value=0, max_value=TIPS_COUNTED + 1)
    no_stripe_id_newest = forms.DateTimeField(required=False)
    unknown_interval = forms.IntegerField(required=False, min_value=0, max_value=2**31)
    unknown_interval_newest = forms.DateTimeField(required=False)

    @property
    def seen(self) -> dict[str, Any]:
        """What the creator dismissed, as the creator's row stores it; {} for the first steps."""
        if self.cleaned_data["part"] != BOOKKEEPING:
            return {}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self.cleaned_data.items()
            if name != "part" and value
        }


def of_creator(creator: User) -> dict[str, Any]:
    """Return what the creator dismissed, by part. This takes one query."""
    row = Earner.objects.filter(pk=creator.pk).values_list("dismissed", flat=True).first()
    return row or {}


def dismiss(creator: User, part: str, seen: dict[str, Any]) -> None:
    """Store that the creator dismissed a part of the overview, and what the page then showed in it."""
    Earner.objects.bulk_create([Earner(creator=creator)], ignore_conflicts=True)
    with transaction.atomic():
        row = Earner.objects.select_for_update().get(pk=creator.pk)
        row.dismissed[part] = seen
        row.save(update_fields=["dismissed"])


def not_dismissed(lines: Iterable[Line], dismissed: dict[str, Any]) -> list[Line]:
    """Return the lines about bookkeeping if one of them has something new since they were dismissed.

    Lines are dismissed together, and come back together.
    """
    lines, seen = list(lines), dismissed.get(BOOKKEEPING, {})
    return lines if any(_has_new(line, seen) for line in lines) else []


def _has_new(line: Line, seen: dict[str, Any]) -> bool:
    """Return whether the line counts more records than were seen, or a newer one.

    The number alone would not show a new record in the place of one that was mended, or one above the number
    up to which tips are counted. The time alone would not show a record that another process dated earlier
    and stored later. A page of the release before has sent no time.
    """
    newest: str = seen.get(f"{line.kind}_newest", "")
    is_newer = newest != "" and line.newest > datetime.fromisoformat(newest)
    return is_newer or line.number > seen.get(line.kind, 0)
