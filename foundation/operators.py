"""What the commands of operators share: exit codes, a progress bar, and rounds that go on until a signal."""

import logging
import os
import re
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, close_old_connections, connection, transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from foundation.database import cluster
from foundation.database.engine.entry_points import addresses
from foundation.database.patience import patient
from foundation.errors import BillingError, first_line

logger = logging.getLogger(__name__)

CLEAN, FOUND, COULD_NOT_LOOK = 0, 1, 2
BY_A_SIGNAL = 128  # The exit code of a command that a signal ended is this and the signal's number.
NAP_SECONDS = 0.5
AGE = re.compile(r"([1-9][0-9]{0,3})([dhw])", re.ASCII)
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # Stripe's API accepts no earlier time.
# What an operator can do about an error of PostgreSQL, by its code.
REMEDIES = {
    "42501": "Run it as the operator role (docs/database.md).",  # No permission.
    "42P01": "Run migrate.",  # No such table.
    "42703": "Run migrate.",  # No such column.
}


class Terminated(KeyboardInterrupt):
    """Raised in a command by SIGTERM, where Ctrl-C raises KeyboardInterrupt."""


class LookingCommand(BaseCommand):
    """A command that checks something and reports.

    The exit code is 0 if nothing is wrong, 1 if the command found a problem, and 2 if it could not check or
    could not report. It is 143 after SIGTERM and 130 after Ctrl-C.
    """

    needs_database = True
    purpose = "look"  # A verb for sentences: Could not look.

    def execute(self, *args: Any, **options: Any) -> str | None:
        output = self.stdout
        try:
            with sigterm_like_ctrl_c(), patient() if self.needs_database else nullcontext():
                try:
                    return super().execute(*args, **options)
                finally:
                    output.flush()  # Here, since an error of Python's own flush at the end is a traceback.
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
            raise CommandError(interruption(error), returncode=BY_A_SIGNAL + number) from error
        except (CommandError, SystemExit):
            raise
        except Exception as error:  # Without this, the exit code would be 1, as for a problem.
            if isinstance(error, OSError) and error.filename is None:
                _discard(output)
                sentence = f"Could not write to stdout: {error.strerror or first_line(error)}."
                raise CommandError(sentence, returncode=COULD_NOT_LOOK) from error
            if not isinstance(error, Error | BillingError):
                logger.exception("A check failed")
            sentence = f"Could not {self.purpose}: {explained(error)}"
            raise CommandError(sentence, returncode=COULD_NOT_LOOK) from error

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


def _discard(output: Any) -> None:
    """Let Python's last flush of an output that cannot be written succeed."""
    with suppress(OSError, ValueError):  # An output of a test may be no file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def interruption(error: KeyboardInterrupt) -> str:
    """Return what stopped a command, as a sentence."""
    return "It was stopped by SIGTERM." if isinstance(error, Terminated) else "It was interrupted."


def explained(error: BaseException) -> str:
    """Return the first line of an error, and what to do if its cause is the role or a missing migration."""
    remedy = REMEDIES.get(getattr(error.__cause__, "sqlstate", None) or "")
    return f"{first_line(error)}. {remedy}" if remedy else first_line(error)


@contextmanager
def sigterm_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM raise Terminated in the block, so that files are removed and the end is recorded."""
    # Only the main thread may set a handler. A process with a handler of its own, as `make run`, keeps it.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


@dataclass(frozen=True)
class Round:
    """What one round of a WatchingCommand did: a sentence, and whether it did something or failed."""

    sentence: str
    did_something: bool
    failed: bool = False


@dataclass(frozen=True)
class Pauses:
    """Why background work pauses: functions that return a reason, or None if the work may go on.

    A round is done inside the context manager of `of_a_round`, which yields the reason or None. `now` is
    called between two parts of a round.
    """

    of_a_round: Callable[[], AbstractContextManager[str | None]] = nullcontext
    now: Callable[[], str | None] = lambda: None


class WatchingCommand(LookingCommand):
    """A command that does what is due, once or (with --watch) again and again until SIGTERM or Ctrl-C.

    A database that cannot be reached does not stop it while it watches. While `pauses` say so, it rests.
    """

    pauses: ClassVar[Pauses] = Pauses()  # An upper app may put others here.

    every_seconds = 10
    stopping = False
    is_watching = False

    def work(self) -> Round:
        """Do what is due now. It should stop early when `goes_on()` is false."""
        raise NotImplementedError

    def goes_on(self) -> bool:
        """Return whether a round may begin its next part."""
        return not (self.stopping or (self.is_watching and self.pauses.now()))

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--watch", action="store_true", help="go on until SIGTERM or Ctrl-C")
        parser.add_argument(
            "--every",
            type=_seconds,
            default=self.every_seconds,
            help="seconds between two rounds of --watch; %(default)s if it is left out",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        if options["watch"]:
            # Do not connect here: this process may start before PostgreSQL, and must survive an outage.
            return BaseCommand.execute(self, *args, **options)
        return super().execute(*args, **options)

    def handle(self, *, watch: bool, every: int, **options: Any) -> None:
        if watch:
            self._watch(every)
            return
        done = self.work()
        self.stdout.write(done.sentence)
        if done.failed:
            self.found()

    def _watch(self, every: int) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.is_watching = reached = True
        resting = False
        while not self.stopping:
            _show_life()
            try:
                close_old_connections()
                with self.pauses.of_a_round() as reason:
                    done = None if reason else self.work()
            except Error as error:
                if reached:  # Report an outage once, not in every round.
                    self._say(f"The database cannot be used, trying again: {explained(error)}")
                reached = False
            else:
                reached = True
                if reason and not resting:
                    self._say(f"Resting, because changes are paused: {reason}")
                resting = bool(reason)
                if done and done.did_something:
                    self._say(done.sentence)
            self._rest(every)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True  # What was begun is still finished.

    def _rest(self, seconds: int) -> None:
        wake_at = time.monotonic() + seconds
        while not self.stopping and (left := wake_at - time.monotonic()) > 0:
            time.sleep(min(left, NAP_SECONDS))

    def _say(self, sentence: str) -> None:
        """Write to stdout, or to the log if a program reads it."""
        if settings.LOG_FORMAT == "json":
            logger.info(sentence, extra={"command": type(self).__module__.rpartition(".")[2]})
            return
        self.stdout.write(sentence)
        self.stdout.flush()


def _show_life() -> None:
    """Touch HEARTBEAT_FILE, if it is set: a container's health check sees that this process still works."""
    if path := os.environ.get("HEARTBEAT_FILE"):
        Path(path).touch()


def _seconds(text: str) -> int:
    """Return the text as a whole number of seconds, at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise ArgumentTypeError(f"{text!r} is not a whole number of seconds, at least 1")
    return int(text)


def moment(text: str) -> datetime:
    """Return the time that a text names: an age such as `14d`, `36h` or `2w`, or a date such as 2026-11-01.

    A date means midnight UTC. Raises ArgumentTypeError.
    """
    if age := AGE.fullmatch(text):
        return max(timezone.now() - int(age[1]) * UNITS[age[2]], EPOCH)
    try:
        return max(midnight(text), EPOCH)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            f"{text!r} is neither an age such as 14d nor a date such as 2026-11-01"
        ) from error


def midnight(text: str) -> datetime:
    """Return the midnight (UTC) at which a day such as 2026-11-01 begins, or raise ArgumentTypeError."""
    return datetime.combine(day(text), time_of_day(tzinfo=UTC))


def day(text: str) -> date:
    """Return the date that a text such as 2026-11-01 names. Raises ArgumentTypeError for other texts."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date such as 2026-11-01") from error


def file_name(text: str) -> str:
    """Return the name of a file, or raise ArgumentTypeError if it is empty, as an unset variable is."""
    if not text:
        raise ArgumentTypeError("the name of the file is empty")
    return text


@contextmanager
def snapshot() -> Iterator[None]:
    """Run the block in a read-only transaction. All queries of the block see the data of one moment.

    They see the tables of the schema public. No setting of the role or of the database, no schema with the
    name of the role and no temporary table puts another one in its place.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL search_path = pg_catalog, public, pg_temp")
            # All rows of a cursor are read, so a plan that finds the first rows soon is no help.
            cursor.execute("SET LOCAL cursor_tuple_fraction = 1")
        yield


def database_read() -> str:
    """Return which database a report is about: its name, hosts and ports, but no password."""
    params = connection.get_connection_params()
    servers = addresses(str(params.get("host") or "localhost"), str(params.get("port") or ""))
    return f"{params.get('dbname')} at {', '.join(map(str, servers))}"


def require_coordinator() -> None:
    """Raise CommandError if this command would change tables or roles from a worker of a cluster.

    A worker refuses most of that itself, but some of it only after other parts have been done.
    """
    if cluster.is_worker():
        raise CommandError(
            f"{database_read()} is a worker of a cluster: set DATABASE_URL to the coordinator for this "
            "command. Nothing was changed."
        )
