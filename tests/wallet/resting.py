"""Change rows as only a superuser can, while the triggers rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.wallet.entries import sql


@contextmanager
def resting_triggers() -> Iterator[None]:
    """Let no trigger run for the block. It must be in a transaction."""
    sql("SET LOCAL session_replication_role = replica")
    yield
    sql("SET LOCAL session_replication_role = origin")
