"""The table of refunds while it is upgraded, and while the release before still serves."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from monetization.models import Refund
from tests.factories import UserFactory
from tests.monetization import records
from tests.test_migrations import tables
from tests.wallet.entries import sql
from tests.wallet.seals.history import found
from wallet.seals import sealing

BEFORE, NUMBERS = "0011_laws_for_the_runtime_role", "0012_refund_numbers"
OPERATIONS = 6


@pytest.fixture
def tables_at(transactional_db: None) -> Iterator[Callable[..., None]]:
    """Bring the tables to this migration of creators' records; without one, and at the end, up to date."""

    def migrate(name: str = "") -> None:
        executor = MigrationExecutor(connection)
        executor.migrate([("monetization", name)] if name else executor.loader.graph.leaf_nodes())

    try:
        yield migrate
    finally:
        migrate()


def refund_of_the_release_before(key: str) -> None:
    """Its statement, without the number."""
    sql(
        "INSERT INTO monetization_refund (id, tip_id, creator_id, amount_cents, fee_returned_cents, currency,"
        " key, actor, reason, created_at)"
        " SELECT 'rfd_' || %s, id, creator_id, 1, 0, currency, %s, 'staff', 'Of bob@x.co', now()"
        " FROM monetization_tip",
        key,
        key,
    )
    sql("UPDATE monetization_tip SET refunded_cents = refunded_cents + 1")


def begin_to_migrate(operations: int) -> None:
    """Run so many operations of the migration, and stop before Django notes that it was applied."""
    loader = MigrationExecutor(connection).loader
    state = loader.project_state([("monetization", BEFORE)])
    with connection.schema_editor(atomic=False) as editor:
        for operation in loader.graph.nodes["monetization", NUMBERS].operations[:operations]:
            before = state.clone()
            operation.state_forwards("monetization", state)
            operation.database_forwards("monetization", editor, before, state)


def numbers() -> list[int]:
    return list(Refund.objects.order_by("id").values_list("number", flat=True))


def test_old_refunds_get_numbers_in_their_order_and_later_ones_follow(tables_at):
    tip = records.tip(UserFactory.create())
    tables_at(BEFORE)
    for key in ("a", "b", "c"):
        refund_of_the_release_before(key)
    tables_at()
    assert numbers() == [1, 2, 3]
    refund_of_the_release_before("d")
    records.refund(tip, 100)
    assert sorted(numbers()) == [1, 2, 3, 4, 5]
    sealing.seal()
    assert found() == []


@pytest.mark.parametrize("operations", range(OPERATIONS))
def test_an_interrupted_migration_can_run_again(tables_at, operations):
    records.tip(UserFactory.create())
    wanted = tables()
    tables_at(BEFORE)
    refund_of_the_release_before("a")
    begin_to_migrate(operations + 1)
    refund_of_the_release_before("b")  # Refunds go on.
    tables_at()
    assert tables() == wanted
    assert sorted(numbers()) == [1, 2]
    records.refused("is history: UPDATE is refused", "UPDATE monetization_refund SET number = number + 10")
    sql("UPDATE monetization_refund SET reason = 'Of (erased)'")


@pytest.mark.parametrize("operations", range(OPERATIONS))
def test_history_is_kept_between_any_two_steps(tables_at, operations):
    records.tip(UserFactory.create())
    tables_at(BEFORE)
    refund_of_the_release_before("a")
    begin_to_migrate(operations + 1)
    for change in ("amount_cents = 2", "reason = 'nicer'", "reason = 'nicer', number = 7"):
        records.refused("is history: UPDATE is refused", f"UPDATE monetization_refund SET {change}")
    sql("UPDATE monetization_refund SET reason = 'Of (erased)'")  # An erasure goes on.
    tables_at()
    assert Refund.objects.get().reason == "Of (erased)"
