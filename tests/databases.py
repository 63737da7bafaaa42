"""The tests' databases: migrated once per run, copied for each worker, reset after a test with threads."""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection, transaction
from psycopg import sql

from foundation.database import cluster
from sandbox import claim
from tests import clusters
from tests.limits import NONE, OF_TESTS, limit

# --- The migrated database and its copies -------------------------------------------------------------

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
WORKER = os.environ.get("PYTEST_XDIST_WORKER") or "alone"


@contextmanager
def copy_of_the_migrated_one(verbosity: int) -> Iterator[None]:
    """This worker's own database. The first worker migrates one, the others copy it, and the last one to
    leave drops it.
    """
    creation: Any = connection.creation
    usual, migrated = connection.settings_dict["NAME"], creation._get_test_db_name()
    copy = f"{migrated}_{WORKER}"
    limit(NONE)
    if clusters.nodes():
        clusters.drop(copy)
        clusters.create(copy)
        _use(copy)
        clusters.fill(verbosity)
        clusters.wait_for_locks(OF_TESTS.lock_ms)
        with clusters.entered():
            limit(OF_TESTS)
            yield
            limit(NONE)
        _use(usual)
        clusters.drop(copy)
        return
    with _one_worker_at_a_time(migrated) as cursor:
        if _run_that_made(migrated, cursor) != RUN:
            _require_no_data(migrated, cursor)
            # Left by a killed run. Those of a run that goes on are in use and can't be dropped.
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
        # A thread that a test did not end may still be connected.
        _drop(copy, cursor, how="WITH (FORCE)")
        if not _copies_of(migrated, cursor):
            _drop(migrated, cursor)


def url() -> str:
    """DATABASE_URL for other processes that use this worker's database."""
    found: dict[str, Any] = connection.get_connection_params()
    query = urlencode({key: found[key] for key in ("user", "password", "host", "port") if found.get(key)})
    return f"postgres:///{found['dbname']}?{query}"


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


@contextmanager
def _one_worker_at_a_time(migrated: str) -> Iterator[Any]:
    """A cursor outside the tests' databases, in a transaction that only one worker at a time can have."""
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [migrated])
        yield cursor  # The lock ends with its connection.


def _require_no_data(migrated: str, cursor: Any) -> None:
    """Stop if a database has this name, was not made by a run of the tests, and holds data."""
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [migrated])
    if not cursor.fetchone() or _run_that_made(migrated, cursor):
        return
    usual = connection.settings_dict["NAME"]
    _use(migrated)
    table = claim.table_with_data()
    _use(usual)
    if table:
        pytest.exit(f"The tests would drop {migrated}, but {table} has rows. Drop it yourself.", returncode=4)


def _run_that_made(migrated: str, cursor: Any) -> str | None:
    cursor.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [migrated]
    )
    row = cursor.fetchone()
    return row[0] if row else None


def _copies_of(migrated: str, cursor: Any) -> list[str]:
    cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{migrated}_"])
    names = [name for (name,) in cursor.fetchall()]
    return [name for name in names if re.fullmatch(r"alone|gw\d+", name.removeprefix(f"{migrated}_"))]


def _drop(name: str, cursor: Any, *, how: str = "") -> None:
    cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} " + how).format(sql.Identifier(name)))


# --- Reset after a test -------------------------------------------------------------------------------


class Beginning:
    """The rows of a new database, and how to restore them.

    After a test with threads Django empties all tables and creates their first rows again. Here only tables
    that have changed get their first rows back.
    """

    SECONDS_MAX = 60

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            tables = cluster.tables()
            self.rows = {table: _copied(table, cursor) for table in tables}
            checks = []
            for table in tables:
                name = sql.Identifier(table)
                if self.rows[table]:
                    cursor.execute(sql.SQL("SELECT ({})").format(DIGEST.format(name)))
                    (digest,) = cursor.fetchone()
                    check = sql.SQL("({}) IS DISTINCT FROM {}").format(DIGEST.format(name), digest)
                else:
                    check = sql.SQL("EXISTS (SELECT 1 FROM {})").format(name)
                checks.append(sql.SQL("SELECT {} WHERE {}").format(table, check))
            self._changed = sql.SQL(" UNION ALL ").join(checks).as_string(cursor.connection)

    def restore(self) -> None:
        """Restore the first rows of every changed table."""
        self._wait_for_writers()
        with connection.cursor() as cursor:
            cursor.execute(self._changed)
            changed = [table for (table,) in cursor.fetchall()]
        with transaction.atomic(), connection.cursor() as cursor:
            # Only here without triggers, since they refuse to delete history.
            if clusters.nodes():
                cursor.execute("SET LOCAL citus.propagate_set_commands = 'local'")
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in changed:
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            for table in changed:
                if self.rows[table]:
                    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                        copy.write(self.rows[table])

    def _wait_for_writers(self) -> None:
        """Wait until threads that a test did not end have finished writing."""
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
    looks = [sql.SQL("EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table)) for table in tables]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT ") + sql.SQL(" OR ").join(looks))
        return bool(cursor.fetchone()[0])
