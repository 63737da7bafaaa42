"""Whether a database may become a sandbox's. `make run` asks before it migrates or writes anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error, connection
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

from foundation.database import marker, patience
from foundation.errors import first_line
from foundation.operators import database_read, snapshot
from sandbox.environment import SandboxRefused

# The tables of this service that migrations and anonymous visitors fill.
FILLED_ANYWAY = [
    "accounts_cache",
    "accounts_plan",
    "accounts_planchange",
    "accounts_ratecounter",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "axes_accessattempt",
    "axes_accessattemptexpiration",
    "axes_accessfailurelog",
    "axes_accesslog",
    "django_content_type",
    "django_migrations",
    "django_session",
    "wallet_rate",
    "wallet_ratechange",
]
# Migrations of every release. Only a database with all of them was migrated by this service.
FIRST_MIGRATIONS = {
    ("accounts", "0001_initial"),
    ("monetization", "0001_creators_records"),
    ("wallet", "0001_initial"),
}

# Every table and view, except those of PostgreSQL and its extensions, and the marker. The last column says
# whether the name leads to it without its schema. Views come last, since a view can be slow.
TABLES = """
SELECT nspname, relname, pg_table_is_visible(pg_class.oid)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p', 'f', 'm', 'v')
  AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND pg_class.oid IS DISTINCT FROM to_regclass(%s)
  AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
  )
ORDER BY relkind IN ('m', 'v'), nspname, relname
"""


@contextmanager
def claimed(*, is_private: bool) -> Iterator[None]:
    """Use the database of the settings as a sandbox's inside this block, and mark it as one.

    The database of a private server is always a sandbox's. Another database must have a valid marker, or be
    empty, or be migrated by this service and hold no data. Otherwise this raises SandboxRefused; also if
    another sandbox is using the database, or if it cannot be read or marked.
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
    """The first table or view with data that a sandbox must not touch, of any schema; None if there is none.

    Raises django.db.Error if a table cannot be read, or if row-level security could hide some of its rows.
    """
    with _whole_database() as cursor:
        for schema, table, is_visible in _tables(cursor):
            if is_visible and table in FILLED_ANYWAY:
                continue
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table)))
            if cursor.fetchone()[0]:
                return f"{schema}.{table}"
    return None


def _table_of_another_program() -> str | None:
    """A table in a database that has tables but was not migrated by this service; otherwise None."""
    with _whole_database() as cursor:
        tables = _tables(cursor)
        if not tables or MigrationRecorder(connection).applied_migrations().keys() >= FIRST_MIGRATIONS:
            return None
    return ".".join(tables[0][:2])


@contextmanager
def _whole_database() -> Iterator[Any]:
    """A cursor that sees all rows of one moment, and writes none."""
    with snapshot(), connection.cursor() as cursor:
        # PostgreSQL then raises an error where it would hide rows.
        cursor.execute("SET LOCAL row_security = off")
        yield cursor


def _tables(cursor: Any) -> list[tuple[str, str, bool]]:
    cursor.execute(TABLES, [marker.TABLE])
    found: list[tuple[str, str, bool]] = cursor.fetchall()
    return found


def _lock(own: Any) -> None:
    """Refuse a second sandbox on this database. The lock ends with its connection."""
    with own.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [marker.TABLE])
        if not cursor.fetchone()[0]:
            raise SandboxRefused(f"A sandbox is already running on {database_read()}. Stop it first.")


def _require_a_sandbox() -> None:
    if marker.is_valid():
        return
    if table := table_with_data():
        found = f"holds data ({table} has rows)"
    elif table := _table_of_another_program():
        found = f"has tables of another program ({table})"
    else:
        return
    raise SandboxRefused(
        f"{database_read()} {found} and was not marked as a sandbox's. This command writes made-up data, so "
        "it stops here; nothing was changed. Set DATABASE_URL to an empty database, or unset it."
    )
