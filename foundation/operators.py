"""What the commands of operators share: exit codes, the name of the database, and a progress bar."""

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
    """A command that checks something and reports.

    The exit code is 0 if nothing is wrong, 1 if the command found a problem, and 2 if it could not check.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            with patient():
                return super().execute(*args, **options)
        except (CommandError, SystemExit):
            raise
        except Exception as error:  # Without this, the exit code would be 1, as for a problem.
            if not isinstance(error, Error | BillingError):
                logger.exception("A check failed")
            raise CommandError(f"Could not look: {first_line(error)}", returncode=COULD_NOT_LOOK) from error

    def found(self) -> NoReturn:
        """Exit with the code for a problem. The caller has already written the report."""
        sys.exit(FOUND)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Any]:
        """Yield a function that adds to the count of a progress bar, by default 1.

        The bar is shown on stderr if stderr is a terminal.
        """
        console = Console(file=self.stderr, force_terminal=None)  # type: ignore[arg-type]
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
            task = shown.add_task(what, total=total)
            yield lambda count=1: shown.advance(task, count)


@contextmanager
def snapshot() -> Iterator[None]:
    """Run the block in a read-only transaction. All queries of the block see the data of one moment."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def database_read() -> str:
    """Return which database a report is about: its name, host and port, but no password."""
    params = connection.get_connection_params()
    where = params.get("host") or "localhost"
    return f"{params.get('dbname')} at {where}" + (f":{params['port']}" if params.get("port") else "")
