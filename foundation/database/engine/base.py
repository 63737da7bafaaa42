"""A server that is frozen answers no timeout of its own, so this side stops waiting for it.

`statement_timeout` is kept by the very server that may be stopped (a stalled disk, a frozen machine), and its
kernel goes on acknowledging packets. Where Django looks for the engine, the file has to have this name.
"""

from typing import Any

import psycopg
from django.db.backends.postgresql import base

# A little more than statement_timeout, which gives the better error while the server is alive.
ANSWER_SECONDS_MAX = 2.5
# Asked before an idle connection is used again. With connecting anew after it, still within three seconds.
PING_SECONDS_MAX = 0.5


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that gives up, and is unusable from then on, when a statement is not answered in time."""

    seconds_max: float | None = ANSWER_SECONDS_MAX

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = self.seconds_max if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except psycopg.errors._WaitTimeout as error:
            # What the server may still do with the statement is not known. Nothing may follow it here.
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error


class Driver:
    """psycopg, but for the connections it makes."""

    connect = staticmethod(ImpatientConnection.connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """The engine. `seconds_max` may be changed for a command that has time (database.patient)."""

    Database: Any = Driver()
    _seconds_max: float | None = ANSWER_SECONDS_MAX

    @property
    def seconds_max(self) -> float | None:
        """How long a statement may take to be answered; None for as long as it takes."""
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
