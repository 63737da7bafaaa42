"""Notes that staff write about a user. A note is an act, so it says who wrote it, and it never changes."""

from typing import cast

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Act, User
from backoffice.actions import acts
from backoffice.actions.acts import Done
from backoffice.actions.forms import ReasonForm
from foundation.validators import validate_lines
from wallet.models import Wallet

WRITES_NOTES = "accounts.note_user"
NOTE = "note"
NOTE_LENGTH = 2000
NOTES_SHOWN = 20


class NoteForm(ReasonForm):
    """The text of a note."""

    reason = forms.CharField(
        max_length=NOTE_LENGTH,
        validators=[validate_lines],
        label="Note",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Plain text that staff read here. A note can't be changed or removed.",
    )


def of_user(user_id: str) -> list[Act]:
    """Return the newest notes about a user, newest first."""
    return list(acts.about_user(user_id).filter(verb=NOTE)[:NOTES_SHOWN])


def other_acts(user_id: str) -> QuerySet[Act]:
    """Return the acts about a user that are not notes, newest first."""
    return acts.about_user(user_id).exclude(verb=NOTE)


def write(request: HttpRequest, row: User | Wallet, form: NoteForm) -> None:
    """Save the note of a valid form about a user. `row` is the user, or the wallet of an unknown user.

    If the form is sent twice, there is one note. Raises what `acts.perform` raises.
    """
    acts.perform(
        staff=cast(User, request.user),
        permission=WRITES_NOTES,
        page=request.path,
        verb=NOTE,
        label="Note",
        reason=form.cleaned_data["reason"],
        form_key=form.cleaned_data["key"],
        form_data={name: [form.cleaned_data[name]] for name in form.fields},
        run=lambda: Done(row, "Wrote a note.", about=row.pk),
    )
