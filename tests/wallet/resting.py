"""Change rows as only a superuser can, while the triggers rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


def rest(database: Any = connection) -> None:
    """Let no trigger run until the end of the transaction, or until they wake."""
    _set(database, "replica")


def wake(database: Any = connection) -> None:
    """Let the triggers run again."""
    _set(database, "origin")


@contextmanager
def resting_triggers() -> Iterator[None]:
    """Let no trigger run for the block. It must be in a transaction."""
    rest()
    yield
    wake()


def _set(database: Any, role: str) -> None:
    with database.cursor() as cursor:
        # On a cluster, the triggers run on the workers. (PostgreSQL alone ignores this setting.)
        cursor.execute("SET LOCAL citus.propagate_set_commands = 'local'")
        cursor.execute(f"SET LOCAL session_replication_role = {role}")
