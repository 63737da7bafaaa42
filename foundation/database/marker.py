"""The row that marks a database as a sandbox's. `make run` writes it; no migration does.

The row names its database and its own table. So it is not valid in a copy: neither in a database that was
made with this one as its template, nor in one into which a dump of this one was restored.
"""

from django.db import connection, transaction

TABLE = "sandbox_marker"

# The row as it must be.
FACTS = f"SELECT oid, '{TABLE}'::regclass::oid FROM pg_database WHERE datname = current_database()"  # noqa: S608


def exists() -> bool:
    """Return whether this database has a marker, valid or not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        return bool(cursor.fetchone()[0])


def is_valid() -> bool:
    """Return whether this database itself was marked, not the one from which it was copied."""
    if not exists():
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT database_oid, table_oid FROM {TABLE} INTERSECT {FACTS})")  # noqa: S608
        return bool(cursor.fetchone()[0])


def write() -> None:
    """Mark this database. A marker that came with a copy is replaced."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (database_oid oid NOT NULL, table_oid oid NOT NULL)"
        )
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608
        cursor.execute(f"INSERT INTO {TABLE} {FACTS}")
