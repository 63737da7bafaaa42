"""All laws of the books in one statement, which is checked after every test that used the database.

PostgreSQL plans the statement once for each connection. To plan the laws takes ten times as long as to look.
Most of the looking is at PostgreSQL's own tables: at triggers, functions, constraints and indexes. After a
test in one transaction that has written none of those tables, the laws about them are left out.
"""

import weakref
from collections.abc import Callable
from typing import Any

from django.db import connection
from psycopg import sql

from foundation.database import guards
from wallet.books import laws
from wallet.books.laws import in_force

LAWS = laws.LAWS_OF_THE_WHOLE | laws.LAWS_OF_DAYS | laws.LAWS_OF_WALLETS
OF_THE_SCHEMA = {guards.name_of("accounts"), *in_force.LAWS_OF_THE_WHOLE}
EVERY_WALLET = {"after": "''", "last": "(SELECT max(user_id) FROM wallet_wallet)"}
# It counts what this transaction wrote, also what was rolled back, and sometimes what one shortly before
# wrote. So it may speak of a change that is no longer there, but it never misses one.
SCHEMA_IS_WRITTEN = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
                    + pg_stat_get_xact_tuples_deleted(oid)), 0) > 0
  FROM unnest('{{{}}}'::oid[]) AS own (oid)
"""
TABLES_OF_POSTGRESQL = (
    "SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace"
)
_prepared: weakref.WeakKeyDictionary[object, set[str]] = weakref.WeakKeyDictionary()


def broken(*, rows_only: bool = False) -> list[laws.Violation]:
    """Every violation, as `laws.violations` finds it; `rows_only` leaves the laws of the schema out.

    A step of a random history changes rows only. After its last step all laws are looked at.
    """
    connection.ensure_connection()
    with connection.cursor() as cursor:
        # What the test did is all in its transaction, unless it has threads.
        blocks: list[Any] = connection.atomic_blocks
        is_one_transaction = any(block._from_testcase for block in blocks)
        if rows_only or (is_one_transaction and not _schema_is_written(cursor)):
            of_rows = {law: query for law, query in LAWS.items() if law not in OF_THE_SCHEMA}
            _execute(cursor, "laws_of_rows", lambda: _union(of_rows))
        else:
            _execute(cursor, "all_laws", lambda: _union(LAWS))
        return [laws.Violation(*row) for row in cursor.fetchall()]


def _schema_is_written(cursor: Any) -> bool:
    def query() -> sql.Composed:
        cursor.execute(TABLES_OF_POSTGRESQL)
        return sql.SQL(SCHEMA_IS_WRITTEN).format(sql.SQL(",").join(oid for (oid,) in cursor.fetchall()))

    _execute(cursor, "schema_is_written", query)
    return bool(cursor.fetchone()[0])


def _execute(cursor: Any, name: str, query: Callable[[], sql.Composed]) -> None:
    """Execute a statement that is planned once for each connection, or each time through a pooler."""
    if connection.is_pooled:  # type: ignore[attr-defined]
        cursor.execute(query())
        return
    prepared = _prepared.setdefault(connection.connection, set())
    if name not in prepared:
        cursor.execute(sql.SQL("PREPARE {} AS ").format(sql.Identifier(name)) + query())
        prepared.add(name)
    cursor.execute(f"EXECUTE {name}")


def _union(queries: dict[str, str]) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, subject::text, detail::text FROM ({}) AS broken (subject, detail)").format(
            law,
            sql.SQL(query % EVERY_WALLET),
        )
        for law, query in queries.items()
    )
