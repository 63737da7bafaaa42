"""A database engine that stops waiting for a frozen server, and when the time of a request is over.

The server itself applies `statement_timeout`. But the server may be frozen (a stalled disk, a stopped
machine) while its kernel still acknowledges packets. Then only the client can end the wait. Django requires
this file name.
"""

import select
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from psycopg.pq import TransactionStatus

from foundation import deadlines
from foundation.database.engine import entry_points, sessions
from foundation.database.engine.schema import SchemaEditor

# A little more than statement_timeout, so that a working server ends the statement first. Its error says more
# than ours.
ANSWER_SECONDS_MAX = 2.5
# The limit for asking the server whether a connection can still be used. If it cannot, there is still time
# for a new connection within three seconds.
PING_SECONDS_MAX = 0.5


TIME_IS_OVER = "the time of the request is over"


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that raises OperationalError and closes itself if the server does not answer in time.

    In a request, each wait takes at most what is left of the request's time (foundation/deadlines.py).
    """

    seconds_max: float | None = ANSWER_SECONDS_MAX

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepared: set[bytes] = set()  # The names of the statements that pipeline.py has prepared.
        self.is_pooled = False  # Whether each transaction may have another session (sessions.py).
        self.keeps_statements = True  # Whether a prepared statement can be used in each later transaction.
        self.met_a_reader = False  # Whether a statement failed because its session may only read.

    @property
    def is_quiet(self) -> bool:
        """Whether the server has sent nothing since the last answer.

        A server that ends a connection sends a last word, and the kernel reports a lost connection. So a
        connection that is idle and quiet is alive, as far as this machine knows. This asks only the kernel.
        """
        if self.pgconn.transaction_status != TransactionStatus.IDLE:  # Also if it is closed.
            return False
        return not self._poll.poll(0)

    @property
    def can_write(self) -> bool:
        """Whether the session can write, as far as the server has said. This asks no server.

        PostgreSQL reports both settings when a session begins, and a change of them with its next answer.
        A pooler repeats what another session reported long ago. There, only an error counts.
        """
        if self.closed or self.met_a_reader:
            return False
        if self.is_pooled:
            return True
        reported = self.pgconn.parameter_status
        return b"on" not in (reported(b"default_transaction_read_only"), reported(b"in_hot_standby"))

    @cached_property
    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return poll

    def leave_a_reader(self) -> None:
        """Leave a session of a pooler that may only read. Called after an error that says so.

        The pooler would give the session to the next transaction. But it closes a session that a client
        leaves in the middle of a transaction.
        """
        if not self.is_pooled:
            return  # PostgreSQL itself reports it: `can_write`.
        self.met_a_reader = True
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            self.pgconn.finish()

    def commit(self) -> None:
        """Commit, unless the COMMIT has gone out with the last statements already (pipeline.py)."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def set_autocommit(self, value: bool) -> None:
        """Begin or end a block of Django. Outside of a transaction, this sends nothing."""
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            self._autocommit = value
        else:
            super().set_autocommit(value)

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Any:
        """Connect, but not after the end of the request's time. psycopg asks at least every 0.1 s."""
        steps: Any = super()._connect_gen(conninfo)
        ready = None
        while not deadlines.is_over():
            try:
                ready = yield steps.send(ready)
            except StopIteration as connected:
                return connected.value
        raise psycopg.OperationalError(TIME_IS_OVER)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = self.seconds_max if timeout is None else timeout
        left = deadlines.seconds_left()
        if left is not None:
            if left <= 0:
                self.pgconn.finish()  # Nothing is sent any more, not even a ROLLBACK.
                raise psycopg.OperationalError(TIME_IS_OVER)
            limit = left if limit is None else min(limit, left)
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except psycopg.errors._WaitTimeout as error:
            # The server may still run the statement, so this connection must not be used again.
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error


class Driver:
    """The module psycopg, except that `connect` makes an ImpatientConnection, to one of several servers."""

    connect = staticmethod(partial(entry_points.connect, ImpatientConnection.connect))

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class NoticingWrapper(DatabaseErrorWrapper):
    """Lets `on_error` of the engine see each error of psycopg, before Django raises its own error for it."""

    def __init__(self, database: "DatabaseWrapper") -> None:
        super().__init__(database)
        self.database = database

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, psycopg.Error):
            self.database.on_error(error)
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and self.database.connection is not None:
            self.database.connection.leave_a_reader()
        super().__exit__(kind, error, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """The engine. A command that may wait longer than a request changes `seconds_max` (patience.py)."""

    Database: Any = Driver()
    SchemaEditorClass = SchemaEditor
    _seconds_max: float | None = ANSWER_SECONDS_MAX
    # Called with each error. The metrics put a function here.
    on_error: Callable[[psycopg.Error], None] = staticmethod(lambda error: None)

    @cached_property
    def wrap_database_errors(self) -> NoticingWrapper:
        return NoticingWrapper(self)

    @property
    def seconds_max(self) -> float | None:
        """Return how many seconds to wait for the answer to a statement; None for no limit."""
        return self._seconds_max

    @seconds_max.setter
    def seconds_max(self, limit: float | None) -> None:
        self._seconds_max = limit
        if self.connection is not None:
            self.connection.seconds_max = limit

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.seconds_max = self.seconds_max
        connection.autocommit = True  # Django sets what it wants afterwards.
        try:
            connection.is_pooled = sessions.leads_through_a_pooler(connection)
            if connection.is_pooled:
                sessions.require_limits(connection, conn_params.get("options", ""))
                connection.keeps_statements = sessions.keeps_statements(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def is_pooled(self) -> bool:
        """Whether each transaction may have another session of PostgreSQL. It connects if it must."""
        self.ensure_connection()
        return bool(self.connection.is_pooled)

    def require_own_session(self, what: str) -> None:
        """Raise NeedsOwnSession if the connection leads through a pooler."""
        if self.is_pooled:
            raise sessions.NeedsOwnSession(
                f"{what} needs a session of its own, but DATABASE_URL leads through a pooler. Operators' "
                "commands use the address of PostgreSQL itself (docs/database.md, PgBouncer)."
            )

    def chunked_cursor(self) -> Any:
        """Return a cursor that reads rows in portions. Through a pooler, only a transaction can have one."""
        if self.is_pooled and not self.in_atomic_block:
            return self.cursor()
        return super().chunked_cursor()

    def close_if_health_check_failed(self) -> None:
        """Close a connection that was lost while it was idle. Called at its first use in a request.

        Django itself would send a `SELECT 1`. Here the server is asked only if it has sent something.
        """
        if self.connection is not None and self.connection.is_quiet:
            self.health_check_done = True
        super().close_if_health_check_failed()

    def close_if_unusable_or_obsolete(self) -> None:
        """Close a session that can't write, too. Django calls this before and after each request.

        Django's own check does not notice: it forgets an error when its transaction has been rolled back.
        """
        if self.connection is not None and not self.connection.can_write:
            self.close()
        super().close_if_unusable_or_obsolete()

    def is_usable(self) -> bool:
        """Whether the server answers in time, and may be written to. Django asks this after an error.

        A server that became a standby goes on answering. Its connections must end, so that the next ones
        find the new primary.
        """
        if self.connection is None:
            return False
        usual = self.seconds_max
        self.seconds_max = PING_SECONDS_MAX
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SHOW transaction_read_only")
                return bool(cursor.fetchone() == ("off",))
        except self.Database.Error:
            return False
        finally:
            self.seconds_max = usual
