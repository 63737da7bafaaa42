"""Whether a database may become a sandbox's. `make run` asks before it migrates or writes anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error, connection
from psycopg import sql

from foundation.database import marker, patience
from foundation.errors import first_line
from foundation.operators import database_read, snapshot
from sandbox.environment import SandboxRefused

# Tables of this service in any release, and tables of users, wallets or tips by any other name.
NAMES_OF_DATA = r"^(accounts|wallet|monetization)_|(^|_)(wallet|user|tip)s?$"
# Of those, the ones that migrations and anonymous visitors fill.
FILLED_ANYWAY = [
    "accounts_cache",
    "accounts_plan",
    "accounts_planchange",
    "accounts_ratecounter",
    "wallet_rate",
    "wallet_ratechange",
]


@contextmanager
def claimed(*, is_private: bool) -> Iterator[None]:
    """Use the database of the settings as a sandbox's inside this block, and mark it as one.

    The database of a private server is always a sandbox's. Another database must have a valid marker or hold
    no data. Otherwise this raises SandboxRefused; also if another sandbox is using the database, or if it
    cannot be read or marked.
    """
    own: Any = connection.copy()
    try:
        try:
            _lock(own)
            with patience.patient():
                if not is_private:
                    _require_a_sandbox()
                marker.write()
        except Error as error:
            raise SandboxRefused(f"{database_read()} cannot be used: {first_line(error)}") from error
        yield
    finally:
        own.close()


def table_with_data() -> str | None:
    """The first table, in any schema, with data that a sandbox must not touch; None if there is none."""
    with snapshot(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE relkind IN ('r', 'p', 'f', 'm', 'v') AND relname ~* %s AND relname <> ALL(%s)"
            " AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2",
            [NAMES_OF_DATA, FILLED_ANYWAY],
        )
        for schema, table in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table)))
            if cursor.fetchone()[0]:
                return f"{schema}.{table}"
    return None


def _lock(own: Any) -> None:
    """Refuse a second sandbox on this database. The lock ends with its connection."""
    with own.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [marker.TABLE])
        if not cursor.fetchone()[0]:
            raise SandboxRefused(f"A sandbox is already running on {database_read()}. Stop it first.")


def _require_a_sandbox() -> None:
    if not marker.is_valid() and (table := table_with_data()):
        raise SandboxRefused(
            f"{database_read()} holds data ({table} has rows) and was not marked as a sandbox's. This "
            "command writes made-up data, so it stops here; nothing was changed. Set DATABASE_URL to an "
            "empty database, or unset it."
        )
