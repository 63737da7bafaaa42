"""Which databases may become a sandbox's. Every test has real databases of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from psycopg import sql

from foundation.database import marker
from sandbox import claim
from sandbox.environment import SandboxRefused
from tests.databases import _require_no_data, hold_rows
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


def tables_of_all_schemas() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        return cursor.fetchall()


@pytest.fixture
def role_without_rights(databases: Databases) -> Iterator[str]:
    name = f"claim_{uuid4().hex[:12]}"
    databases.run(f"CREATE ROLE {name}")
    yield name
    for database in databases.made:
        databases.use(database)
        databases.run(f"DROP OWNED BY {name}")
    databases.run(f"DROP ROLE {name}")


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    """Every connection has the rights of this role."""
    usual = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**usual, "options": f"{usual.get('options', '')} -c role={role}"}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"] = usual


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
        # Of other programs.
        [filled("customers")],
        [filled('"AspNetUsers"')],
        [filled('"userAccounts"')],
        [filled("creator_tips_2025")],
        [filled("notes")],
        [filled("tipping")],
        [filled("spatial_ref_sys")],  # Not made by the extension of that table.
        [filled("django_session")],
        [filled("django_migrations")],
        [filled("sandbox_marker")],
        ["CREATE UNLOGGED TABLE notes (id int)", "INSERT INTO notes VALUES (1)"],
        ["CREATE MATERIALIZED VIEW notes AS SELECT 1 AS id"],
        ["CREATE MATERIALIZED VIEW notes AS SELECT 1 AS id WITH NO DATA"],
        ["CREATE VIEW notes AS SELECT 1 AS id"],
        ["CREATE SCHEMA elsewhere", filled("elsewhere.notes")],
        ["CREATE SCHEMA elsewhere", filled("elsewhere.django_session")],
        # Empty, but `migrate` would fail on them.
        ["CREATE TABLE accounts_user (id int)"],
        ["CREATE TABLE django_session (id int)"],
        ["CREATE TABLE django_migrations (id int)"],
        ["CREATE TABLE users (id int)"],
        ["CREATE VIEW wallet_wallet AS SELECT 1 AS id WHERE false"],
    ],
    ids=lambda statements: " ".join(statements)[:60],
)
def test_data_or_tables_of_any_program_in_any_schema_are_refused(databases: Databases, statements: list[str]):
    databases.new(*statements)
    tables = tables_of_all_schemas()
    with pytest.raises(SandboxRefused):
        start()
    assert tables_of_all_schemas() == tables


def test_the_history_of_another_django_program_is_not_ours(databases: Databases):
    databases.new()
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    for app in ("accounts", "auth", "contenttypes", "wallet"):
        recorder.record_applied(app, "0001_initial")
    with pytest.raises(SandboxRefused, match=r"has tables of another program \(public\.django_migrations\)"):
        start()
    assert tables_of_all_schemas() == [("public", "django_migrations")]


@pytest.mark.parametrize(
    "statements",
    [
        [filled("customers")],
        ["CREATE SCHEMA elsewhere", filled("elsewhere.django_session")],
        ["CREATE SCHEMA elsewhere", filled("elsewhere.wallet_rate")],
    ],
)
def test_other_data_in_a_migrated_database_is_refused(databases: Databases, statements: list[str]):
    databases.migrated()
    databases.run(*statements)
    with pytest.raises(SandboxRefused, match=r"holds data \(\w+\.\w+ has rows\)"):
        start()


@pytest.mark.parametrize("table", ["accounts_user", "monetization_tip", "django_migrations"])
def test_a_table_whose_rows_row_level_security_may_hide_is_refused(
    databases: Databases, role_without_rights: str, table: str
):
    databases.migrated()
    if table == "accounts_user":
        UserFactory()
    databases.run(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role_without_rights}",
        f"GRANT CREATE ON SCHEMA public TO {role_without_rights}",
    )
    tables = tables_of_all_schemas()
    with acting_as(role_without_rights):
        with pytest.raises(SandboxRefused, match=f'row-level security policy for table "{table}"'):
            start()
    assert tables_of_all_schemas() == tables


def test_a_table_that_the_role_may_not_read_is_refused(databases: Databases, role_without_rights: str):
    databases.new(filled("customers"))
    with acting_as(role_without_rights):
        with pytest.raises(SandboxRefused, match="permission denied for table customers"):
            start()


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


def test_what_migrations_and_anonymous_visitors_leave_is_no_reason_to_refuse(databases: Databases):
    databases.migrated()
    client = Client()
    for path in ("/", "/sign-in", "/sign-in/staff", "/docs", "/io/wallet/balance?user_id=usr_1"):
        client.get(path)
    for _ in range(7):
        client.post("/sign-in/staff", {"login": "staff:ada", "password": "wrong"})
    SessionStore().save()
    assert hold_rows(["axes_accessattempt"])
    assert hold_rows(["django_session"])
    start()


def test_empty_tables_of_an_earlier_or_later_release_are_no_reason_to_refuse(databases: Databases):
    databases.migrated()
    databases.run(
        "DROP TABLE wallet_outoforderentry",
        "CREATE TABLE wallet_of_a_later_release (id int)",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('wallet', '0999_later', now())",
    )
    start()


def test_tables_of_extensions_are_no_reason_to_refuse(databases: Databases):
    databases.new(
        "CREATE SCHEMA of_extensions",
        filled("of_extensions.spatial_ref_sys"),
        "ALTER EXTENSION plpgsql ADD TABLE of_extensions.spatial_ref_sys",
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
