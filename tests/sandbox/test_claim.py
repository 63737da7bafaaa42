"""Which databases may become a sandbox's. Every test has real databases of its own."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from psycopg import sql

from foundation.database import marker
from sandbox import claim
from sandbox.environment import SandboxRefused
from tests.databases import _require_no_data
from tests.factories import UserFactory
from wallet.books import ledger
from wallet.models import Entry


class Databases:
    """Creates databases on the tests' server, and connects this process to one of them."""

    def __init__(self) -> None:
        self.usual = connection.settings_dict["NAME"]
        self.made: list[str] = []

    def new(self, *statements: str, template: str = "template0") -> str:
        """Create a database, connect to it, and run the statements."""
        name = f"claim_{uuid4().hex[:12]}"
        self.use(self.usual)
        self.run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template))))
        self.made.append(name)
        self.use(name)
        self.run(*statements)
        return name

    def migrated(self) -> str:
        return self.new(template=self.usual.rpartition("_")[0])

    def use(self, name: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = name

    def run(self, *statements: Any) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def drop_all(self) -> None:
        self.use(self.usual)
        for name in self.made:
            self.run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def databases(django_db_setup: None, django_db_blocker: Any) -> Iterator[Databases]:
    with django_db_blocker.unblock():
        made = Databases()
        yield made
        made.drop_all()
        connection.close()


def start(*, is_private: bool = False) -> None:
    with claim.claimed(is_private=is_private):
        assert marker.is_valid()


def filled(table: str) -> str:
    return f"CREATE TABLE {table} (any_name int); INSERT INTO {table} VALUES (1)"


# --- Refused ------------------------------------------------------------------------------------------


def test_a_database_with_one_user_is_refused_and_not_changed(databases: Databases):
    databases.migrated()
    UserFactory()
    tables = connection.introspection.table_names()
    with pytest.raises(SandboxRefused, match=r"public\.accounts_user has rows.*nothing was changed"):
        start()
    assert connection.introspection.table_names() == tables


def test_a_database_with_one_wallet_is_refused(databases: Databases):
    databases.migrated()
    with transaction.atomic():
        ledger.credit(
            user_id="usr_1",
            credits=1,
            kind=Entry.Kind.TOPUP,
            actor="stripe",
            product="blog",
            stripe_session_id="cs_1",
        )
    with pytest.raises(SandboxRefused, match=r"public\.wallet_\w+ has rows"):
        start()


@pytest.mark.parametrize(
    "statements",
    [
        [filled("accounts_user")],  # The other tables are missing, and so are its usual columns.
        [filled("monetization_tip")],
        [filled("wallet_wallet")],
        [filled("wallet_entry")],
        [filled("wallet_of_a_later_release")],
        [filled("wallets")],
        [filled("auth_user")],
        [filled('"Users"')],
        ["CREATE SCHEMA billing", filled("billing.wallet_wallet")],
        ["CREATE SCHEMA billing", filled("billing.monetization_tip"), "CREATE TABLE accounts_user (id int)"],
        [
            "CREATE TABLE monetization_tip (id int) PARTITION BY RANGE (id)",
            "CREATE TABLE tips_of_2026 PARTITION OF monetization_tip DEFAULT",
            "INSERT INTO monetization_tip VALUES (1)",
        ],
        [filled("somewhere"), "CREATE VIEW wallet_wallet AS SELECT * FROM somewhere"],
    ],
    ids=lambda statements: " ".join(statements)[:60],
)
def test_data_in_any_schema_of_any_age_is_refused(databases: Databases, statements: list[str]):
    databases.new(*statements)
    with pytest.raises(SandboxRefused):
        start()
    assert not marker.exists()


def test_a_copy_of_a_sandbox_is_no_sandbox(databases: Databases):
    original = databases.migrated()
    start()
    UserFactory()
    databases.new(template=original)
    assert marker.exists()
    with pytest.raises(SandboxRefused, match="accounts_user has rows"):
        start()


def test_a_restored_marker_does_not_count(databases: Databases):
    databases.new(filled("accounts_user"))
    # As pg_restore makes it: the same row in a new table, in a database that happens to have the same oid.
    databases.run(
        f"CREATE TABLE {marker.TABLE} (database_oid oid NOT NULL, table_oid oid NOT NULL)",
        f"INSERT INTO {marker.TABLE} SELECT oid, 16384 FROM pg_database WHERE datname = current_database()",
    )
    with pytest.raises(SandboxRefused, match="accounts_user has rows"):
        start()


def test_a_read_only_database_is_refused_with_a_sentence(databases: Databases):
    name = databases.migrated()
    databases.run(
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(name))
    )
    connection.close()
    with pytest.raises(SandboxRefused, match="cannot be used: cannot execute CREATE TABLE in a read-only"):
        start()


def test_a_database_that_does_not_answer_is_refused_without_its_password(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
):
    databases.use("no_such_database")
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "hunter2")
    with pytest.raises(SandboxRefused, match=r"cannot be used: .*does not exist") as refused:
        start()
    assert "hunter2" not in str(refused.value)


def test_of_two_starts_at_once_one_is_refused(databases: Databases):
    databases.new()
    both_have_tried = threading.Barrier(2)
    outcomes: list[str] = []

    def try_to_start() -> None:
        try:
            with claim.claimed(is_private=False):
                both_have_tried.wait(60)
                outcomes.append("started")
        except SandboxRefused as refusal:
            outcomes.append(str(refusal))
            both_have_tried.wait(60)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_to_start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusal, started = sorted(outcomes)
    assert started == "started"
    assert refusal.startswith("A sandbox is already running on claim_")
    start()  # The lock ended with its holder.


def test_the_tests_drop_no_database_that_holds_data(databases: Databases):
    """A database can have the name of the tests' database by accident."""
    full, empty = databases.new(filled("accounts_user")), databases.new()
    databases.use(databases.usual)
    with connection._nodb_cursor() as cursor:
        with pytest.raises(pytest.exit.Exception, match=r"public\.accounts_user has rows"):
            _require_no_data(full, cursor)
        assert connection.settings_dict["NAME"] == databases.usual
        _require_no_data(empty, cursor)
        _require_no_data("no_such_database", cursor)


# --- Allowed ------------------------------------------------------------------------------------------


def test_an_empty_database_is_marked_and_allowed_from_then_on(databases: Databases):
    databases.new()
    start()
    call_command("migrate", verbosity=0)
    UserFactory()
    start()


def test_a_migrated_database_without_data_is_allowed(databases: Databases):
    databases.migrated()
    assert claim.table_with_data() is None
    start()


def test_data_of_other_programs_is_no_reason_to_refuse(databases: Databases):
    databases.new(
        filled("notes"), filled("spatial_ref_sys"), "CREATE TABLE users (id int)", filled("tipping")
    )
    start()


def test_a_private_server_is_a_sandbox_by_itself(databases: Databases):
    """Whatever it holds: the release before wrote no marker."""
    databases.migrated()
    UserFactory()
    start(is_private=True)
    start(is_private=False)


# --- Production ---------------------------------------------------------------------------------------


def test_production_does_not_migrate_a_sandbox(databases: Databases, settings):
    databases.migrated()
    start()
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="was marked as a sandbox's"):
        call_command("migrate", verbosity=0)
    databases.run(f"DROP TABLE {marker.TABLE}")
    call_command("migrate", verbosity=0)
    assert not marker.exists()  # No migration creates it.
