"""What the operators' commands share: exit codes, a word on the database, progress on a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection, transaction
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from foundation.database.patience import patient
from foundation.errors import BillingError, first_line

logger = logging.getLogger(__name__)

CLEAN, FOUND, COULD_NOT_LOOK = 0, 1, 2


class LookingCommand(BaseCommand):
    """A command that looks and reports: exit code 0 clean, 1 something found, 2 could not look."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            with patient():
                return super().execute(*args, **options)
        except (CommandError, SystemExit):
            raise
        except Exception as error:  # Whatever it was: 1 would say that something was found.
            if not isinstance(error, Error | BillingError):
                logger.exception("A check failed")
            raise CommandError(f"Could not look: {first_line(error)}", returncode=COULD_NOT_LOOK) from error

    def found(self) -> NoReturn:
        """End with the exit code of a finding; the report has been written."""
        sys.exit(FOUND)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Any]:
        """A function that counts, shown on stderr where that is a terminal."""
        console = Console(file=self.stderr, force_terminal=None)  # type: ignore[arg-type]
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
            task = shown.add_task(what, total=total)
            yield lambda count=1: shown.advance(task, count)


@contextmanager
def snapshot() -> Iterator[None]:
    """One moment of the database for all that is read inside, however long. Nothing can be written."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def database_read() -> str:
    """Which database a report is about, without its password."""
    found = connection.get_connection_params()
    where = found.get("host") or "localhost"
    return f"{found.get('dbname')} at {where}" + (f":{found['port']}" if found.get("port") else "")
