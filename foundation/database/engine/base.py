"""A database engine that stops waiting for a frozen server.

The server itself applies `statement_timeout`. But the server may be frozen (a stalled disk, a stopped
machine) while its kernel still acknowledges packets. Then only the client can end the wait. Django requires
this file name.
"""

from typing import Any

import psycopg
from django.db.backends.postgresql import base

# A little more than statement_timeout, so that a working server ends the statement first. Its error says more
# than ours.
ANSWER_SECONDS_MAX = 2.5
# The limit for the check of an idle connection before its use. If the check fails, there is still time for a
# new connection within three seconds.
PING_SECONDS_MAX = 0.5


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that raises OperationalError and closes itself if the server does not answer in time."""

    seconds_max: float | None = ANSWER_SECONDS_MAX

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = self.seconds_max if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except psycopg.errors._WaitTimeout as error:
            # The server may still run the statement, so this connection must not be used again.
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error


class Driver:
    """The module psycopg, except that `connect` makes an ImpatientConnection."""

    connect = staticmethod(ImpatientConnection.connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """The engine. A command that may wait longer than a request changes `seconds_max` (patience.py)."""

    Database: Any = Driver()
    _seconds_max: float | None = ANSWER_SECONDS_MAX

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
        return connection

    def is_usable(self) -> bool:
        usual = self.seconds_max
        self.seconds_max = PING_SECONDS_MAX
        try:
            return super().is_usable()
        finally:
            self.seconds_max = usual
