"""One run at a time, by a row in the database: its progress, and how it ends.

A row, and no lock of a connection: a lock ends silently with its connection, and a pooler may share it. A
process that dies leaves its row. Another run takes over when the heartbeat of the row is too old.
"""

import time
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, InternalError, ProgrammingError, transaction
from django.db.models.functions import Now

from foundation.errors import BillingError, first_line
from wallet.payments.models import ReconciliationRun

State = ReconciliationRun.State

DEAD_AFTER = timedelta(minutes=15)
HEARTBEAT_SECONDS = 20


class OtherRun(BillingError):
    """Raised when another run is going on, or has taken over this one."""


class NothingToResume(BillingError):
    """Raised when the last run was not interrupted."""

    sentence = "The last run was not interrupted: there is nothing to resume"


class Run:
    """A run in progress. `row` is None if the database refuses to store it; then nothing is stored."""

    def __init__(self, row: ReconciliationRun | None) -> None:
        self.row = row
        self._written_at = time.monotonic()

    def is_alive(self) -> None:
        """Write a heartbeat, if the last one is some seconds old. Raises OtherRun if it was taken over."""
        if time.monotonic() - self._written_at >= HEARTBEAT_SECONDS:
            self._write()

    def is_at(self, day: date, **progress: Any) -> None:
        """Store the first day that is not compared yet, and the progress. Raises OtherRun if taken over."""
        self._write(next_day=day, **progress)

    def ends(self, state: ReconciliationRun.State, **progress: Any) -> None:
        """Store how the run ended. Raises OtherRun if it was taken over."""
        self._write(state=state, **progress)

    def _write(self, **changes: Any) -> None:
        if self.row is None:
            return
        mine = ReconciliationRun.objects.filter(pk=self.row.pk, state=State.RUNNING)
        if not mine.update(heartbeat_at=Now(), **changes):
            raise OtherRun("Another run has taken over, because this one did not report for too long")
        self._written_at = time.monotonic()


def begin(*, since: datetime, applies: bool) -> Run:
    """Begin a run. Raises OtherRun if another one is going on.

    The row is stored in the database; raises InternalError or ProgrammingError if the database or its role
    is read-only (`unrecorded`).
    """
    with transaction.atomic():
        _stop_the_dead()
        try:
            with transaction.atomic():
                return Run(ReconciliationRun.objects.create(since=since, applies=applies))
        except IntegrityError as error:
            raise _busy() from error


def resume(*, applies: bool = False) -> Run:
    """Continue the last run, if it was interrupted. Raises NothingToResume, and OtherRun like `begin`.

    A run goes on as it began. So with `applies`, a run that does not repair is not continued.
    """
    with transaction.atomic():
        _stop_the_dead()
        last = ReconciliationRun.objects.select_for_update().order_by("-started_at", "-pk").first()
        if last is None or last.state == State.FINISHED:
            raise NothingToResume
        if last.state == State.RUNNING:
            raise _busy()
        if applies and not last.applies:
            raise NothingToResume("The last run began without --apply; begin a new one with it")
        last.state = State.RUNNING
        try:
            with transaction.atomic():
                ReconciliationRun.objects.filter(pk=last.pk).update(state=last.state, heartbeat_at=Now())
        except IntegrityError as error:
            raise _busy() from error
        return Run(last)


def unrecorded(error: InternalError | ProgrammingError) -> str:
    """Return the sentence for an operator whose database cannot store the run."""
    return f"This run is not stored, so another one may run at the same time: {first_line(error)}"


def _stop_the_dead() -> None:
    """Mark a run as interrupted if its process has not reported for too long."""
    dead = ReconciliationRun.objects.filter(state=State.RUNNING, heartbeat_at__lt=Now() - DEAD_AFTER)
    dead.update(state=State.INTERRUPTED)


def _busy() -> OtherRun:
    other = ReconciliationRun.objects.filter(state=State.RUNNING).first()
    since = f", since {other.started_at:%Y-%m-%d %H:%M} UTC" if other else ""
    return OtherRun(f"Another run is going on{since}; run one at a time")
