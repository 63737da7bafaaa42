"""What the operators' commands share: exit codes, the name of the database, progress on a terminal."""

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
        except Exception as error:  # Exit code 1 would mean that something was found.
            if not isinstance(error, Error | BillingError):
                logger.exception("A check failed")
            raise CommandError(f"Could not look: {first_line(error)}", returncode=COULD_NOT_LOOK) from error

    def found(self) -> NoReturn:
        """Exit with the code for a finding; the report is written already."""
        sys.exit(FOUND)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Any]:
        """A function that counts one or more; the count is shown on stderr if that is a terminal."""
        console = Console(file=self.stderr, force_terminal=None)  # type: ignore[arg-type]
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
            task = shown.add_task(what, total=total)
            yield lambda count=1: shown.advance(task, count)


@contextmanager
def snapshot() -> Iterator[None]:
    """Everything read inside shows one moment of the database. Nothing can be written."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def database_read() -> str:
    """Which database a report is about, without its password."""
    params = connection.get_connection_params()
    where = params.get("host") or "localhost"
    return f"{params.get('dbname')} at {where}" + (f":{params['port']}" if params.get("port") else "")
