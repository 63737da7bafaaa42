"""Migrations of the wallet's tables: interrupted ones run again, and none deadlocks with a verb."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from tests.crowd import begin, wait_until_another_waits
from tests.test_migrations import tables
from tests.wallet.entries import sql

pytestmark = pytest.mark.django_db(transaction=True)  # Some operations run outside a transaction.

BEFORE = {  # The migrations whose operations are transactions of their own, and what each depends on.
    "0018_indexes_that_include_the_wallet": "0017_entries_tell_what_is_held",
    "0019_no_foreign_key_between_nodes": "0018_indexes_that_include_the_wallet",
    "0021_guard_what_is_set_aside": "0020_keys_that_include_the_wallet",
}
GUARD = "0021_guard_what_is_set_aside"


@pytest.fixture
def wallet_at() -> Iterator[Callable[..., None]]:
    """Bring the wallet's tables to one of their migrations; without one, and at the end, up to date."""

    def migrate(name: str | None = None) -> None:
        executor = MigrationExecutor(connection)
        executor.migrate([("wallet", name)] if name else executor.loader.graph.leaf_nodes())

    try:
        yield migrate
    finally:
        migrate()


def begin_to_migrate(name: str, operations: int) -> None:
    """Run so many operations of a migration, and stop before Django notes that it was applied."""
    loader = MigrationExecutor(connection).loader
    state = loader.project_state([("wallet", BEFORE[name])])
    with connection.schema_editor(atomic=False) as editor:
        for operation in loader.graph.nodes["wallet", name].operations[:operations]:
            before = state.clone()
            operation.state_forwards("wallet", state)
            operation.database_forwards("wallet", editor, before, state)


@pytest.mark.parametrize("name", BEFORE)
def test_an_interrupted_migration_can_run_again(wallet_at, name):
    wanted = tables()
    wallet_at(BEFORE[name])
    migration = MigrationExecutor(connection).loader.graph.nodes["wallet", name]
    assert not migration.atomic
    for operations in range(1, len(migration.operations) + 1):
        begin_to_migrate(name, operations)
    wallet_at()
    assert tables() == wanted


def test_a_verb_that_reads_entries_before_it_changes_the_wallet_goes_on(wallet_at, give):
    """As the release before gives back: it locks the wallet, reads entries, and then changes the wallet."""
    give("usr_1", 10)
    wallet_at(BEFORE[GUARD])
    with transaction.atomic():
        sql("SELECT FROM wallet_wallet WHERE user_id = 'usr_1' FOR UPDATE")
        sql("SELECT sum(credits) FROM wallet_entry WHERE wallet_id = 'usr_1'")
        upgrade = begin(wallet_at)
        wait_until_another_waits()
        sql("UPDATE wallet_wallet SET created_at = created_at WHERE user_id = 'usr_1'")
    upgrade.result(timeout=60)
