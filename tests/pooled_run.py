"""A run of the tests through PgBouncer: `TESTS_POOLER=1 make test ARGS="tests/wallet tests/monetization"`.

Each connection of the run leads through PgBouncer in transaction mode, as those of web workers do. What needs
a session of its own, such as an operator's command, is skipped: it refuses a pooler.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from foundation.database import configuration
from foundation.database.engine.base import DatabaseWrapper
from sandbox.postgres_programs import Account
from sandbox.private_postgres import PrivateServer
from tests import limits

# Of the tests, each of which may have several transactions at once.
SESSIONS = 40


@contextmanager
def through_a_pooler() -> Iterator[None]:
    """Lead the connections of this process through PgBouncer, if TESTS_POOLER is set."""
    if not os.environ.get("TESTS_POOLER"):
        yield
        return
    from tests.pooling import CONSOLE, pooling  # Not at the top: it imports conftest, which imports this.

    direct: dict[str, Any] = connection.get_connection_params()
    where = {
        name: direct[name] for name in ("host", "port", "user", "password", "dbname") if direct.get(name)
    }
    account = Account()
    if not os.environ.get("DATABASE_URL"):
        _, account, _ = PrivateServer(configuration.data_directory(os.environ))._settle()
    usual = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    with tempfile.TemporaryDirectory(prefix="pooled-") as folder:
        target = " ".join(f"{name}={where[name]}" for name in ("host", "port", "password") if name in where)
        with pooling(
            Path(folder),
            account,
            target=target,
            database=where["dbname"],
            users={where["user"]: where.get("password", ""), CONSOLE: CONSOLE},
            auth_type="plain" if "password" in where else "trust",
            default_pool_size=SESSIONS,
            query_wait_timeout=60,
        ) as pooler:
            connection.close()
            connection.settings_dict.update(HOST="127.0.0.1", PORT=str(pooler.port))
            limits.on_change = _Limits(where, pooler)
            limits.on_change()
            DatabaseWrapper.require_own_session = _skip  # type: ignore[method-assign]
            try:
                yield
            finally:
                limits.on_change = None
                connection.close()
                connection.settings_dict.update(usual)


class _Limits:
    """Gives the sessions of the pool the limits that the tests set for connections."""

    def __init__(self, where: dict[str, Any], pooler: Any) -> None:
        self.where, self.pooler = where, pooler

    def __call__(self) -> None:
        options = connection.settings_dict["OPTIONS"]["options"]
        chosen = dict(part.split("=") for part in options.replace("-c ", "").split())
        with psycopg.connect(**self.where, autocommit=True) as database:
            for name, value in chosen.items():
                database.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(self.where["dbname"]), sql.Identifier(name), sql.Literal(value)
                    )
                )
        self.pooler.console("RECONNECT")


def _skip(self: DatabaseWrapper, what: str) -> None:
    pytest.skip(f"{what} needs a session of its own, and this run goes through a pooler")
