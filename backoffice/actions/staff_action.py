"""A staff action: its name, permission and form, and the function that it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import Preview, PreviewedForm, ReasonForm

# The label and the value of each fact about a row. A fact without a value is not shown.
Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class StaffAction:
    """An action of staff on one row. It has its own page. An action named "add" creates a row.

    `run` takes the row (None for "add"), the cleaned form data and the staff member. It calls a domain
    function and returns a summary. If the act is about another row or user, or if there is a secret to show,
    `run` returns a Done. If `run` raises a BillingError, the form shows the error and nothing has changed.
    The page shows the `facts` of the row and, above the form, the `warning`.

    `preview` takes the same arguments as `run` and returns what `run` would change. It may run the action,
    because its transaction is rolled back. The form is then a PreviewedForm.

    `follow_up` calls another service, after the transaction of `run` and its act were committed. It takes the
    same arguments and returns what happened, for the staff member. It also runs when the same form is sent
    again. If it raises a BillingError, the form shows the error, but what `run` did stays.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], User], str | Done]
    form: type[ReasonForm] = ReasonForm
    applies: Callable[[Any], bool] = lambda row: True
    facts: Callable[[Any], Facts] = lambda row: []
    warning: str | Callable[[Any], str] = ""
    has_secret: bool = False
    preview: Callable[[Any, dict[str, Any], User], Preview] | None = None
    follow_up: Callable[[Any, dict[str, Any], User], str] | None = None

    def __post_init__(self) -> None:
        assert (self.preview is not None) == issubclass(self.form, PreviewedForm)
