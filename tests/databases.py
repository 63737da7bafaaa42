"""The tests' databases: migrated once a run, copied for each worker, put back after a test with threads."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from django.db import connection, transaction
from psycopg import sql

from tests.limits import NONE, OF_TESTS, limit

# --- One that is migrated, and copies of it -----------------------------------------------------------

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
WORKER = os.environ.get("PYTEST_XDIST_WORKER") or "alone"


@contextmanager
def copy_of_the_migrated_one(verbosity: int) -> Iterator[None]:
    """A database of this worker's own. The first worker to come migrates it, all others copy it; the last
    one to leave drops it.
    """
    creation: Any = connection.creation
    usual, migrated = connection.settings_dict["NAME"], creation._get_test_db_name()
    copy = f"{migrated}_{WORKER}"
    limit(NONE)
    with _one_worker_at_a_time(migrated) as cursor:
        if _run_that_made(migrated, cursor) != RUN:
            # Of a run that was killed. One that goes on keeps its databases: they cannot be dropped.
            for leftover in _copies_of(migrated, cursor):
                _drop(leftover, cursor)
            creation.create_test_db(verbosity=max(verbosity - 1, 0), autoclobber=True, serialize=False)
            connection.close()
            cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(migrated), RUN))
        _drop(copy, cursor)
        cursor.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(migrated))
        )
    _use(copy)
    limit(OF_TESTS)
    yield
    limit(NONE)
    _use(usual)
    with _one_worker_at_a_time(migrated) as cursor:
        # A thread that a test left behind may still be connected.
        _drop(copy, cursor, how="WITH (FORCE)")
        if not _copies_of(migrated, cursor):
            _drop(migrated, cursor)


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


@contextmanager
def _one_worker_at_a_time(migrated: str) -> Iterator[Any]:
    """A cursor beside the databases of tests, whose transaction no other worker shares."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [migrated])
        yield cursor  # The lock ends with its connection.


def _run_that_made(migrated: str, cursor: Any) -> str | None:
    cursor.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [migrated]
    )
    found = cursor.fetchone()
    return found[0] if found else None


def _copies_of(migrated: str, cursor: Any) -> list[str]:
    cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{migrated}_"])
    names = [name for (name,) in cursor.fetchall()]
    return [name for name in names if re.fullmatch(r"alone|gw\d+", name.removeprefix(f"{migrated}_"))]


def _drop(name: str, cursor: Any, *, how: str = "") -> None:
    cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} " + how).format(sql.Identifier(name)))


# --- Back to how it was -------------------------------------------------------------------------------


class Beginning:
    """What a database held when it was new, and the way back to that.

    Django empties all tables after a test with threads and makes their first rows anew. Here a table that
    holds what it held is left alone, and one that does not gets its first rows back.
    """

    SECONDS_MAX = 60

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                " ORDER BY relname"
            )
            tables = [name for (name,) in cursor.fetchall()]
            self.rows = {table: _copied(table, cursor) for table in tables}
            looks = []
            for table in tables:
                name = sql.Identifier(table)
                if self.rows[table]:
                    cursor.execute(sql.SQL("SELECT ({})").format(DIGEST.format(name)))
                    (digest,) = cursor.fetchone()
                    look = sql.SQL("({}) IS DISTINCT FROM {}").format(DIGEST.format(name), digest)
                else:
                    look = sql.SQL("EXISTS (SELECT FROM {})").format(name)
                looks.append(sql.SQL("SELECT {} WHERE {}").format(table, look))
            self._changed = sql.SQL(" UNION ALL ").join(looks).as_string(cursor.connection)

    def restore(self) -> None:
        """Give every table the rows it had."""
        self._wait_for_writers()
        with connection.cursor() as cursor:
            cursor.execute(self._changed)
            changed = [table for (table,) in cursor.fetchall()]
        with transaction.atomic(), connection.cursor() as cursor:
            # Triggers rest, here alone: they refuse that history is deleted.
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            for table in changed:
                if self.rows[table]:
                    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                        copy.write(self.rows[table])

    def _wait_for_writers(self) -> None:
        """A thread that a test left behind may be about to write; its rows are seen once it has ended."""
        give_up_at = time.monotonic() + self.SECONDS_MAX
        with connection.cursor() as cursor:
            while True:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                    " AND backend_xid IS NOT NULL"
                )
                if not cursor.fetchone()[0]:
                    return
                assert time.monotonic() < give_up_at, "a test left a transaction open"
                time.sleep(0.01)


DIGEST = sql.SQL("SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {} t")


def _copied(table: str, cursor: Any) -> bytes:
    with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
        return b"".join(copy)


def hold_rows(tables: Iterable[str]) -> bool:
    """Whether one of these tables has a row."""
    looks = [sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(table)) for table in tables]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT ") + sql.SQL(" OR ").join(looks))
        return bool(cursor.fetchone()[0])
