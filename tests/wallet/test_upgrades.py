"""Migrations of the wallet's tables: interrupted ones run again, none deadlocks, and old releases go on."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from tests import all_laws
from tests.crowd import THREAD_SECONDS_MAX, begin, wait_until_another_waits
from tests.test_migrations import tables
from tests.wallet.entries import insert_entry, sql
from tests.wallet.granted import grant, lots_of, set_budget, spent
from tests.wallet.held import capture
from wallet import identifiers
from wallet.books.funds import funds_of
from wallet.models import GiveBack, Hold, Wallet

pytestmark = pytest.mark.django_db(transaction=True)  # Some operations run outside a transaction.

BEFORE = {  # The migrations whose operations are transactions of their own, and what each depends on.
    "0018_indexes_that_include_the_wallet": "0017_entries_tell_what_is_held",
    "0019_no_foreign_key_between_nodes": "0018_indexes_that_include_the_wallet",
    "0021_guard_what_is_set_aside": "0020_keys_that_include_the_wallet",
    "0025_guard_grants_and_budgets": "0024_refunds_tell_what_grants_got",
    "0028_entries_with_fewer_indexes": "0027_seals",
    "0029_wallets_move_by_several_entries": "0028_entries_with_fewer_indexes",
    "0035_payouts_that_came_back": "0034_words_and_unused_indexes",
}
GUARD = "0021_guard_what_is_set_aside"
FEWER_INDEXES = "0028_entries_with_fewer_indexes"


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
    upgrade.result(timeout=THREAD_SECONDS_MAX)


def test_a_charge_and_the_end_of_its_foreign_key_do_not_deadlock(wallet_at, give):
    """As the release before charges: the wallet's row first, and then the entry."""
    give("usr_1", 10)
    wallet_at(BEFORE[FEWER_INDEXES])
    [drop_foreign_key] = [
        operation.database_operations[0].sql
        for operation in MigrationExecutor(connection).loader.graph.nodes["wallet", FEWER_INDEXES].operations
        if "FOREIGN KEY" in str(vars(operation).get("database_operations", [operation])[0].reverse_sql)
    ]
    with transaction.atomic():
        steps = before.charging("usr_1")
        next(steps)
        upgrade = begin(lambda: [sql(statement) for statement in drop_foreign_key])
        wait_until_another_waits()
        list(steps)
        transaction.set_rollback(True)
    upgrade.result(timeout=THREAD_SECONDS_MAX)
    assert (
        sql("SELECT FROM pg_constraint WHERE contype = 'f' AND conname LIKE 'wallet_entry_wallet_id_%%'")
        == []
    )


# --- From the release before grants and budgets -------------------------------------------------------

BEFORE_GRANTS = GUARD
BETWEEN = "0024_refunds_tell_what_grants_got"
FEATURE = "blog.article.generate"
FACTS = {"feature": FEATURE, "product": "blog"}


class ReleaseBefore:
    """What the release before wrote: it changes a wallet's figures without counting a revision."""

    def change(self, user_id, *, credits=0, held=0, open_holds=0, guard="true"):
        """Change the wallet's row. Return what it is then, or None if the guard found no row."""
        moved = f"balance = balance + {credits}, entries_count = entries_count + 1," if credits else ""
        rows = sql(
            f"UPDATE wallet_wallet SET {moved} held = held + %s, open_holds = open_holds + %s"
            f" WHERE user_id = %s AND {guard} RETURNING balance, held, entries_count",
            held,
            open_holds,
            user_id,
        )
        return rows[0] if rows else None

    def entry(self, user_id, credits, after, **facts):
        balance, held, count = after
        facts = {"held": held, **facts}
        return insert_entry(user_id, credits=credits, balance_after=balance, sequence=count, **facts)

    @transaction.atomic
    def charge(self, user_id, credits, *, plainly=False):
        """Charge in the full branch, or in the plain one. None if the plain one does not apply."""
        guard = "granted = 0 AND budgets = 0 AND NOT frozen AND balance >= held + watch + " + str(credits)
        if not plainly:
            sql("SELECT FROM wallet_wallet WHERE user_id = %s FOR NO KEY UPDATE", user_id)
        after = self.change(user_id, credits=-credits, guard=guard if plainly else "true")
        facts = {"kind": "deduct", "count": credits, **FACTS}
        return self.entry(user_id, -credits, after, **facts) if after else None

    @transaction.atomic
    def adjust(self, user_id, credits):
        return self.entry(user_id, credits, self.change(user_id, credits=credits))

    @transaction.atomic
    def hold(self, user_id, credits):
        hold_id = identifiers.hold_id()
        self.change(user_id, held=credits, open_holds=1)
        columns = {
            "id": hold_id,
            "wallet_id": user_id,
            "product": "blog",
            "feature": FEATURE,
            "count": credits,
            "credits": credits,
            "idempotency_key": hold_id,
            "actor": "sql",
            "available_before": credits,
            "ttl_seconds": 900,
            "state": "open",
        }
        sql(
            f"INSERT INTO wallet_hold ({', '.join(columns)}, created_at, expires_at)"
            f" VALUES ({'%s, ' * len(columns)} now(), now() + interval '15 minutes')",
            *columns.values(),
        )
        return hold_id

    @transaction.atomic
    def void(self, user_id, hold_id):
        [(credits,)] = sql(
            "UPDATE wallet_hold SET state = 'voided', ended_at = created_at WHERE id = %s RETURNING credits",
            hold_id,
        )
        self.change(user_id, held=-credits, open_holds=-1)

    @transaction.atomic
    def capture(self, user_id, hold_id):
        *_, entry_id = self.capturing(user_id, hold_id)
        return entry_id

    def capturing(self, user_id, hold_id):
        """The steps of a capture; the last one returns the entry's id."""
        yield sql("SELECT FROM wallet_wallet WHERE user_id = %s FOR NO KEY UPDATE", user_id)
        [(credits,)] = sql(
            "UPDATE wallet_hold SET state = 'captured', ended_at = created_at, captured_count = count"
            " WHERE id = %s RETURNING credits",
            hold_id,
        )
        yield
        after = self.change(user_id, credits=-credits, held=-credits, open_holds=-1)
        yield
        facts = {"kind": "capture", "count": credits, "hold_id": hold_id, **FACTS}
        yield self.entry(user_id, -credits, after, **facts)

    @transaction.atomic
    def refund(self, user_id, charge_id, credits):
        *_, entry_id = self.refunding(user_id, charge_id, credits)
        return entry_id

    def refunding(self, user_id, charge_id, credits):
        """The steps of a refund; the last one returns the entry's id."""
        yield sql("SELECT FROM wallet_wallet WHERE user_id = %s FOR NO KEY UPDATE", user_id)
        yield sql("SELECT sum(credits) FROM wallet_entry WHERE reverses_id = %s", charge_id)
        after = self.change(user_id, credits=credits)
        yield
        entry_id = self.entry(user_id, credits, after, kind="refund", reverses_id=charge_id, **FACTS)
        yield
        sql(
            "INSERT INTO wallet_giveback (wallet_id, entry_id, requested, refundable, lapsed, available)"
            " VALUES (%s, %s, %s, 0, 0, 0)",
            *(user_id, entry_id, credits),
        )
        yield entry_id

    def charging(self, user_id):
        """The steps of a charge in the plain branch."""
        after = self.change(user_id, credits=-1)
        yield
        yield self.entry(user_id, -1, after, kind="deduct", count=1, **FACTS)


before = ReleaseBefore()


def rows(*tables):
    """Every row of these tables of the release before, without the columns that are new."""
    new = {"revision", "to_grants"}
    found = {}
    for table in tables:
        names = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY 1"
        columns = ", ".join(name for (name,) in sql(names, table) if name not in new)
        found[table] = sorted(sql(f"SELECT {columns} FROM {table}"), key=repr)
    return found


OLD_TABLES = ("wallet_wallet", "wallet_entry", "wallet_hold", "wallet_giveback")


def test_a_filled_database_gets_grants_and_budgets(wallet_at, give, article_rate):
    for user_id in ("usr_1", "usr_2", "usr_3"):
        give(user_id, 30)
    wallet_at(BEFORE_GRANTS)
    for user_id in ("usr_1", "usr_2", "usr_3"):
        charge = before.charge(user_id, 4)
        before.refund(user_id, charge, 1)
        captured = before.capture(user_id, before.hold(user_id, 3))
        before.refund(user_id, captured, 2)
        before.void(user_id, before.hold(user_id, 5))
    open_hold = before.hold("usr_1", 6)
    written = rows(*OLD_TABLES)
    wallet_at()
    assert rows(*OLD_TABLES) == written
    assert set(Wallet.objects.values_list("balance", "held", "granted", "budgets", "revision")) == {
        (26, 6, 0, 0, 0),
        (26, 0, 0, 0, 0),
    }
    assert set(GiveBack.objects.values_list("to_grants", flat=True)) == {None}
    assert all_laws.broken() == []
    # What the release before wrote counts in a budget that is set now. Its hold is of paid credits.
    grant("usr_1", 10)
    assert set_budget(100).spent == 3 + 1 + 6
    capture(Hold.objects.get(pk=open_hold), 2)
    assert (funds_of("usr_1").paid, lots_of("usr_1"), spent()) == (24, [(10, 0, 0)], [6])
    # It goes on with the other wallets.
    assert before.charge("usr_2", 1, plainly=True)
    before.capture("usr_3", before.hold("usr_3", 2))


@pytest.mark.parametrize("state", [BEFORE_GRANTS, BETWEEN])
@pytest.mark.parametrize("verb", ["charge", "capture", "refund"])
def test_a_verb_and_the_migration_of_grants_do_not_deadlock(wallet_at, give, article_rate, state, verb):
    """The migration begins after each step of the verb but the last one, and the verb goes on."""
    give("usr_1", 10)
    charge_id = before.charge("usr_1", 2)
    hold_id = before.hold("usr_1", 4)
    verbs = {
        "charge": partial(before.charging, "usr_1"),
        "capture": partial(before.capturing, "usr_1", hold_id),
        "refund": partial(before.refunding, "usr_1", charge_id, 1),
    }
    with transaction.atomic():
        number_of_steps = len(list(verbs[verb]()))
        transaction.set_rollback(True)
    for number in range(1, number_of_steps):
        wallet_at(state)
        with transaction.atomic():
            steps = verbs[verb]()
            for _ in range(number):
                next(steps)
            upgrade = begin(wallet_at)
            wait_until_another_waits()
            list(steps)
            transaction.set_rollback(True)
        upgrade.result(timeout=THREAD_SECONDS_MAX)
