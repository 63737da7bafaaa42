"""What a staff action is: its name, permission and form, and the function that it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import ReasonForm

# Label and value of each fact about a row; a fact without a value is not shown.
Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class StaffAction:
    """Something that staff may do to one row, on a page of its own; an action named "add" makes a row.

    `run` takes the row (None for "add"), the cleaned form and the staff member, and calls a domain function.
    It returns a summary, or a Done if the act is about another row or user, or has a secret to show. If it
    raises a BillingError, the form shows the error and nothing has changed. The page shows the `facts` of the
    row, and `warning` above the form.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], User], str | Done]
    form: type[ReasonForm] = ReasonForm
    applies: Callable[[Any], bool] = lambda row: True
    facts: Callable[[Any], Facts] = lambda row: []
    warning: str = ""
    has_secret: bool = False
