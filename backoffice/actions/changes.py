"""Show what an action would do to the settings of a row, before it is done."""

from collections.abc import Callable, Mapping
from typing import Any

from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import Change, Preview

Run = Callable[[Any, dict[str, Any], User], str | Done]
Show = Callable[[Any, dict[str, Any], User], Preview]


def of(
    run: Run,
    in_words: Callable[[Any], Mapping[str, str]],
    *,
    about: Callable[[Any], str] = lambda row: "",
    note: str = "",
) -> Show:
    """Return a preview of `run`, which changes a row, or adds one.

    `in_words` returns the settings of a row by their labels. `about` returns the Misar ID of the user that
    the act is about. The page shows the `note` below the changes. The preview runs the action, so it raises
    what the action raises; its caller rolls it back.
    """

    def preview(row: Any, form_data: dict[str, Any], staff: User) -> Preview:
        before = in_words(_locked(row)) if row is not None else {}
        done = run(row, form_data, staff)
        after = in_words(_locked(done.row if isinstance(done, Done) else row))
        changes = [Change(label, before.get(label), words) for label, words in after.items()]
        changed = [change for change in changes if change.before != change.after]
        return Preview((), about(row), changes=changed, note=note)

    return preview


def _locked(row: Any) -> Any:
    """Read a row as it is now, and lock it, so no other transaction changes it between the two readings.

    The wallet of a user without credits is not stored yet.
    """
    stored = type(row)._default_manager.select_for_update(no_key=True).filter(pk=row.pk)
    return stored.first() or row
