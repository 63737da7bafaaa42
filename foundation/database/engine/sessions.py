"""What a new connection is asked: whether it leads through a pooler, and then whether time limits apply.

A pooler such as PgBouncer gives each transaction the session of PostgreSQL that is free then. So what one
transaction leaves in its session (a prepared statement, a SET, a lock) is missing in the next one, or meets
another client. And a pooler drops the limits that the service asks for when it connects.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import fetch, fetch_many
from psycopg.waiting import WAIT_RW

from foundation.database import configuration
from foundation.errors import BillingError

if TYPE_CHECKING:
    from foundation.database.engine.base import ImpatientConnection

# Without one of these, a session could keep a lock for as long as it likes.
LIMITS = tuple(configuration.limits_ms())
IN_MILLISECONDS = """
SELECT extract(epoch FROM current_setting(name)::interval) * 1000
  FROM unnest(%s::text[]) WITH ORDINALITY AS limits (name, number) ORDER BY number
"""
TRIAL = b"misar_trial"
CLOSES_STATEMENTS = 170000  # The version of libpq that can close a prepared statement.
NO_LIMITS = "sessions of the pooler have no limit of their own"


class NeedsOwnSession(BillingError):
    """Raised for a command that needs a session of its own, if its connection leads through a pooler."""

    status = 503


def leads_through_a_pooler(connection: "ImpatientConnection") -> bool:
    """Ask whether another program answers in PostgreSQL's place.

    PostgreSQL names its process when a session begins. A pooler has no session yet at that moment, so it
    makes a number up. (A proxy that only passes bytes on changes nothing, and is no pooler.)
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row != (connection.pgconn.backend_pid,)


def keeps_statements(connection: "ImpatientConnection") -> bool:
    """Ask whether a pooler keeps the statements that a connection prepares.

    Such a pooler (PgBouncer 1.21 with max_prepared_statements) prepares them in each session that the
    connection gets, under names of its own. Another pooler passes our name on.
    """
    if psycopg.pq.version() < CLOSES_STATEMENTS:
        return False
    try:
        shown = connection.wait(_trial(connection))
        connection.pgconn.exit_pipeline_mode()
    except BaseException:
        connection.pgconn.finish()  # Answers may still come in.
        raise
    return bool(shown.ntuples) and shown.get_value(0, 0) == b"0"


def _trial(connection: "ImpatientConnection") -> PQGen[Any]:
    """Prepare a statement, look for its name, and close it. All in one go, so in one session."""
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_prepare(TRIAL, b"SELECT 1")
    pgconn.send_query_params(b"SELECT count(*) FROM pg_prepared_statements WHERE name = $1", [TRIAL])
    pgconn.send_close_prepared(TRIAL)
    pgconn.pipeline_sync()
    while pgconn.flush():
        yield WAIT_RW
    results = []
    for _ in range(3):
        results += yield from fetch_many(pgconn)
    yield from fetch(pgconn)  # The answer to the sync.
    return results[1]


def require_limits(connection: "ImpatientConnection", options: str) -> None:
    """Raise OperationalError if a limit of this session is missing, or longer than `options` asks for."""
    asked = limits_in(options)
    present = [milliseconds for (milliseconds,) in connection.execute(IN_MILLISECONDS, [list(LIMITS)])]
    wrong = [
        name
        for name, milliseconds in zip(LIMITS, present, strict=True)
        if asked.get(name) != 0 and not 0 < milliseconds <= asked.get(name, float("inf"))
    ]
    if wrong:
        raise psycopg.OperationalError(
            f"{NO_LIMITS}: {', '.join(wrong)}. Set them on the role, as database_roles does, and let the "
            "pooler make new sessions (docs/database.md, PgBouncer)."
        )


def limits_in(options: str) -> Mapping[str, int]:
    """Return the limits that `options` of a connection sets, in milliseconds. The last value counts."""
    return {name: int(value) for name, value in re.findall(r"-c\s*(\w+)=(\d+)(?=\s|$)", options)}
