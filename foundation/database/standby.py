"""Let a standby answer reads, where the contract allows it (decision 0046, contract 78).

A view with `may_answer` or `may_answer_late` runs on the standby of STANDBY_URL, if this standby has what it
must have; otherwise it runs on the primary. Who the caller is, rate limits and all writes come before, on the
primary.

"Has what it must have" is a position in the primary's log, which the service reads from the primary. The
standby's own clock and its own view of its delay do not count: a standby that is cut off believes that it has
everything.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections
from django.db.utils import ConnectionHandler
from django.template.response import TemplateResponse

from foundation import deadlines
from foundation.database.engine import base
from foundation.errors import first_line

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# Of the time that a request has left, this part is the standby's. The rest is for the primary.
SHARE = 1 / 3
SECONDS_WITHOUT_A_DEADLINE = 1.0
# A standby replays a commit some milliseconds after the primary has made it. It is asked again after these
# pauses.
PAUSES = (0.002, 0.005, 0.010)
# How often a late read asks the primary for its position.
ASKED_EVERY_SECONDS = 1.0
# How long a process does not try the standby again.
SECONDS_AFTER_LATE = 1.0
SECONDS_AFTER_A_FAILURE = 5.0

# How a read ended. `answered` is the standby's answer; in the other cases the primary answered: the standby
# was late; it is no standby of this primary, or no longer one; it failed or could not be reached; a statement
# was cancelled; or one of the above was moments ago.
ANSWERED, LATE, FOREIGN, FAILED, CANCELLED, SKIPPED = (
    "answered",
    "late",
    "foreign",
    "failed",
    "cancelled",
    "skipped",
)
OUTCOMES = (ANSWERED, LATE, FOREIGN, FAILED, CANCELLED, SKIPPED)
# Called with the outcome of each read. The metrics put a function here.
on_outcome: Callable[[str], None] = lambda outcome: None  # noqa: E731

# All commits that the primary has acknowledged are before this position, because it acknowledges what is on
# its disk (synchronous_commit must not be off). A position means something only in one cluster and on one
# timeline: a promotion begins a new one.
POSITION = """
SELECT pg_current_wal_flush_lsn(), (SELECT system_identifier FROM pg_control_system()),
       ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int
"""
HAS = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn"
# The timeline of the last restartpoint, so after a failover a standby counts only from its next one on.
IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint())
"""

# The standby works; only this statement had to end: a conflict with what the standby must replay, a timeout,
# or a view that tried to write.
OF_ONE_STATEMENT = ("40", "57014", "25", "55", "22", "42")


@dataclass(frozen=True)
class Position:
    """How far the primary had written its log at a time of the monotonic clock."""

    asked_at: float
    place: str
    cluster: tuple[int, int]  # The system identifier, and the timeline.


class NotUsable(Exception):
    """Raised when the standby may not answer. `outcome` says why."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class StandbyWrapper(base.DatabaseWrapper):
    """A connection to the standby. Its session is read-only, even if the server is promoted."""

    # The primary's errors wake a person. The standby's are counted as outcomes.
    on_error = staticmethod(lambda error: None)
    # The cluster that this session was found to belong to.
    cluster: tuple[int, int] | None = None
    # While a view reads, no other session may take the place of the one that was checked.
    is_reading = False

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.is_reading:
            raise OperationalError("the connection to the standby was lost")
        self.cluster = None
        session = super().get_new_connection(conn_params)
        if session.is_pooled:
            # A pooler drops the option that makes the session read-only, and may change the server behind it.
            session.close()
            raise OperationalError("STANDBY_URL leads through a pooler")
        return session

    def close_if_unusable_or_obsolete(self) -> None:
        # Not the engine's own: it closes sessions that can't write.
        super(base.DatabaseWrapper, self).close_if_unusable_or_obsolete()

    def is_usable(self) -> bool:
        """Whether the server answers in time."""
        if self.connection is None:
            return False
        usual, self.seconds_max = self.seconds_max, base.PING_SECONDS_MAX
        try:
            self.connection.execute("SELECT 1")
        except self.Database.Error:
            return False
        finally:
            self.seconds_max = usual
        return True


class Sessions(ConnectionHandler):
    """The connections of each thread to the standby."""

    def create_connection(self, alias: str) -> Any:
        return StandbyWrapper(self.settings[alias], alias)


class Standby:
    """A standby, as one process knows it."""

    def __init__(self, config: dict[str, Any], *, lag_seconds_max: float) -> None:
        self._sessions = Sessions({DEFAULT_DB_ALIAS: config})
        self._lag_seconds_max = lag_seconds_max
        self._positions: tuple[Position, ...] = ()  # Oldest first. Threads replace it, and never change it.
        # Until when the standby is not tried: for current reads, and for those that may be late.
        self._skipped_until = {False: 0.0, True: 0.0}
        self._is_used = True

    def answer(self, view: Callable[[], T], *, late: bool) -> T:
        """Run a view that only reads: on the standby, or if that can't be or fails, on the primary."""
        if connections[DEFAULT_DB_ALIAS].in_atomic_block:
            return view()
        if time.monotonic() < self._skipped_until[late]:
            on_outcome(SKIPPED)
            return view()
        try:
            position = self._position(late=late)
        except Error:  # If it is the primary's, the view says so.
            return view()
        left = deadlines.seconds_left()
        with deadlines.within(SECONDS_WITHOUT_A_DEADLINE if left is None else max(0.0, left * SHARE)):
            try:
                answer = self._answer(view, position)
            except NotUsable as reason:
                if reason.outcome != LATE:
                    self._sessions[DEFAULT_DB_ALIAS].close()
                self._note(reason.outcome, late=late, error=reason.__cause__)
            except Exception:
                self._note(ANSWERED)  # For example, there is nothing at this address.
                raise
            else:
                self._note(ANSWERED)
                return answer
        return view()

    def _answer(self, view: Callable[[], T], position: Position) -> T:
        """Run the view on the standby. Raises NotUsable, or what the view raises."""
        session = cast(StandbyWrapper, self._sessions[DEFAULT_DB_ALIAS])
        try:
            session.close_if_unusable_or_obsolete()
            self._require(session, position)
        except Error as error:
            raise NotUsable(FAILED) from error
        # All that reads takes the connection from here: the ORM, raw cursors, atomic blocks.
        primary = connections[DEFAULT_DB_ALIAS]
        connections[DEFAULT_DB_ALIAS] = session
        session.is_reading = True
        try:
            answer = view()
            if isinstance(answer, TemplateResponse):  # Otherwise Django renders it later, with the primary.
                answer.render()
        except Error as error:
            # A server that stands still fails the next read before its view.
            is_of_one_statement = _code_of(error).startswith(OF_ONE_STATEMENT) or deadlines.is_over()
            raise NotUsable(CANCELLED if is_of_one_statement else FAILED) from error
        finally:
            session.is_reading = False
            connections[DEFAULT_DB_ALIAS] = primary
        return answer

    def _require(self, session: StandbyWrapper, position: Position) -> None:
        """Raise NotUsable unless the server of this session is a standby that has the position."""
        with session.cursor() as cursor:
            if session.cluster != position.cluster:
                cursor.execute(IDENTITY)
                session.cluster = cursor.fetchone()
            if session.cluster != position.cluster:
                raise NotUsable(FOREIGN)
            # The snapshots of the view are taken later, so they have at least what this finds.
            for pause in (*PAUSES, None):
                cursor.execute(HAS, [position.place])
                is_standby, has_it = cursor.fetchone()
                if not is_standby:
                    break
                if has_it:
                    return
                if pause is not None:
                    time.sleep(pause)
        raise NotUsable(LATE if is_standby else FOREIGN)

    def _position(self, *, late: bool) -> Position:
        """Return what the standby must have: all that is acknowledged by now.

        With `late`: all that was acknowledged as long ago as the bound allows. For this, the primary is asked
        at most once a second.
        """
        now = time.monotonic()
        known = [each for each in self._positions if each.asked_at >= now - self._lag_seconds_max]
        if late and known and known[-1].asked_at > now - ASKED_EVERY_SECONDS:
            return known[0]
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(POSITION)
            place, *cluster = cursor.fetchone()
        position = Position(now, place, cast(tuple[int, int], tuple(cluster)))
        if not known or known[-1].asked_at <= now - ASKED_EVERY_SECONDS:
            self._positions = (*known, position)
        return known[0] if late and known else position

    def _note(self, outcome: str, *, late: bool = False, error: BaseException | None = None) -> None:
        """Count an outcome, and decide when the standby is tried again."""
        on_outcome(outcome)
        now = time.monotonic()
        if outcome in (FAILED, FOREIGN):
            self._skipped_until = dict.fromkeys((False, True), now + SECONDS_AFTER_A_FAILURE)
        elif outcome == LATE:
            # It may still be good enough for reads that may be late.
            self._skipped_until = self._skipped_until | {late: now + SECONDS_AFTER_LATE}
        if outcome == ANSWERED and not self._is_used:
            logger.info("The standby answers reads again")
        elif outcome in (FAILED, FOREIGN) and self._is_used:
            reason = f": {first_line(error)}" if error else ""
            logger.warning("The primary answers all reads: the standby is %s%s", outcome, reason)
        if outcome in (ANSWERED, FAILED, FOREIGN):
            self._is_used = outcome == ANSWERED


def _code_of(error: BaseException | None) -> str:
    """Return PostgreSQL's code of an error, or of an error before it: a lost session causes more of them."""
    while error is not None:
        if code := getattr(error, "sqlstate", None):
            return str(code)
        error = error.__cause__ or error.__context__
    return ""


@cache
def _configured() -> Standby | None:
    """Return the standby of the settings, if there is one."""
    if settings.STANDBY is None:
        return None
    return Standby(settings.STANDBY, lag_seconds_max=settings.STANDBY_LAG_SECONDS_MAX)


def may_answer(view: Callable[P, T]) -> Callable[P, T]:
    """Decorate a view that only reads: the standby may answer if it has all that is acknowledged by now.

    So the caller's own writes are in the answer.
    """
    return _decorated(view, late=False)


def may_answer_late(view: Callable[P, T]) -> Callable[P, T]:
    """Decorate a view that only reads: the standby may answer if it is at most STANDBY_LAG_SECONDS_MAX late.

    So the caller's own last writes may be missing.
    """
    return _decorated(view, late=True)


def _decorated(view: Callable[P, T], *, late: bool) -> Callable[P, T]:
    @wraps(view)
    def answered(*args: P.args, **kwargs: P.kwargs) -> T:
        if (standby := _configured()) is None:
            return view(*args, **kwargs)
        return standby.answer(lambda: view(*args, **kwargs), late=late)

    return answered
