"""What an action of staff is: its name, its permission, its form, and the verb it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models

from accounts.models import User
from backoffice.actions.acts import Done
from backoffice.actions.forms import ReasonForm


@dataclass(frozen=True)
class StaffAction:
    """Something staff can do to one row, on a page of its own.

    `run` takes the row, the cleaned form and the member of staff, calls the domain and returns what to tell,
    or a Done where it touched the affairs of somebody else than the row's user. A BillingError it raises is
    shown on the form, and nothing has moved. `warning` stands above the form.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], User], str | Done]
    form: type[ReasonForm] = ReasonForm
    applies: Callable[[Any], bool] = lambda row: True
    warning: str = ""


@dataclass(frozen=True)
class Made:
    """A row that staff added, what to tell of it, and a secret that is shown on this one answer alone."""

    row: models.Model
    told: str
    secret: str = ""


@dataclass(frozen=True)
class Addition:
    """How staff add a row: like a verb, but there is none yet."""

    label: str
    permission: str
    run: Callable[[dict[str, Any], User], Made]
    form: type[ReasonForm]
    has_secret: bool = False
