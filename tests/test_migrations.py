"""Every migration can be undone, redoing it gives the same tables, and old payments are brought in."""

import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlparse
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.models.fields import PositiveIntegerRelDbTypeMixin
from django.utils import timezone

from foundation.database import cluster
from tests.wallet.entries import move, sql
from wallet.books import laws
from wallet.payments.models import Payment

APPS = ("accounts", "wallet", "monetization")


def test_every_migration_can_be_undone():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    one_way = [
        f"{app}.{name}: {operation.describe()}"
        for (app, name), migration in loader.disk_migrations.items()
        if app in APPS
        for operation in migration.operations
        if not operation.reversible
    ]
    assert one_way == []


# The last migration of each app in the first release whose tables could be on a cluster.
OF_CLUSTERS = {"accounts": "0023", "wallet": "0031", "monetization": "0015"}
NO_WAY_BACK = "from a cluster there is no way back to a release that knows no cluster"


def test_a_migration_sends_one_statement_at_a_time():
    """A cluster that has the tables passes each text on to its nodes, which refuse two statements in one."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    several = [
        f"{app}.{name}: {text[:60]}"
        for (app, name), migration in loader.disk_migrations.items()
        if name[:4] > OF_CLUSTERS.get(app, "~")
        for text in texts_of(migration.operations)
        if len(sqlparse.split(text)) > 1
    ]
    assert several == []


def texts_of(operations: Sequence[Operation]) -> Iterator[str]:
    """Every text of SQL that these operations send, forwards or backwards."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from texts_of(operation.database_operations)
        elif isinstance(operation, RunSQL):
            sent = vars(operation)
            for texts in (sent["sql"], sent["reverse_sql"] or ""):
                yield from [texts] if isinstance(texts, str) else map(str, texts)


@pytest.mark.django_db(transaction=True)  # Some indexes are built concurrently, outside a transaction.
@pytest.mark.breaks_the_books
@pytest.mark.slow
@pytest.mark.single_server(NO_WAY_BACK)
def test_the_tables_are_the_same_after_undoing_and_redoing():
    before = tables()
    for app in reversed(APPS):
        call_command("migrate", app, "zero", verbosity=0)
    assert not [name for name in tables() if name.startswith(tuple(APPS))]
    call_command("migrate", verbosity=0)
    assert tables() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.breaks_the_books
@pytest.mark.slow
def test_the_tables_of_a_cluster_are_the_same_after_undoing_and_redoing():
    """On a server that is none, too: a migration has one text for both."""
    before, placed = tables(), cluster.placed()
    for app, name in reversed(OF_CLUSTERS.items()):
        call_command("migrate", app, name, verbosity=0)
    assert "wallet_closedmonth" not in tables()
    call_command("migrate", verbosity=0)
    assert tables() == before
    assert cluster.placed() == placed


def tables() -> dict[str, set[tuple[str, ...]]]:
    """Every table with its columns, constraints, indexes and triggers."""
    names = cluster.tables()  # Without the shards of a cluster.
    parts: dict[str, set[tuple[str, ...]]] = {}
    queries = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE NOT tgisinternal",
        "SELECT relname, relpersistence::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace",
    )
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
            for table, *facts in cursor.fetchall():
                if table in names:
                    parts.setdefault(table, set()).add(tuple(str(fact) for fact in facts))
    return parts


@pytest.mark.django_db
def test_the_models_have_all_their_migrations():
    call_command("makemigrations", check=True, dry_run=True, verbosity=3)


@pytest.mark.django_db
def test_every_check_has_a_name_of_ours():
    """A cluster refuses to add a column with an inline check, which Django makes for positive fields."""
    models = [model for model in apps.get_models() if model._meta.app_label in APPS]
    fields = [field for model in models for field in model._meta.local_fields]
    assert [str(field) for field in fields if isinstance(field, PositiveIntegerRelDbTypeMixin)] == []
    checks = sql(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c'"
        " AND connamespace = 'public'::regnamespace"
    )
    names = cluster.tables()  # Without the shards of a cluster.
    ours = {(table, name) for table, name in checks if table in names and table.startswith(tuple(APPS))}
    declared = {constraint.name for model in models for constraint in model._meta.constraints}
    assert {name for _, name in ours} - declared == set()
    assert sql("SELECT conname FROM pg_constraint WHERE NOT convalidated") == []


@pytest.mark.django_db
def test_django_leaves_no_index_for_searches_that_no_query_makes():
    """Django adds an index for LIKE to each text with an index. Monetization still has some."""
    indexes = sql("SELECT indexname FROM pg_indexes WHERE tablename ~ '^(accounts|wallet)_'")
    assert [name for (name,) in indexes if name.endswith("_like")] == []


# --- Payments of earlier releases ---------------------------------------------------------------------

BEFORE_PAYMENTS = "0010_finding_by_the_beginning"
WITH_TRIGGER = "0012_a_payment_is_decided_once"


@pytest.fixture
def wallet_at() -> Iterator[Callable[[str], Any]]:
    """Bring the wallet's tables to one of their migrations; its models. At the end they are up to date."""

    def migrate(name: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([("wallet", name)])
        return executor.loader.project_state([("wallet", name)]).apps

    newest = MigrationExecutor(connection).loader.graph.leaf_nodes("wallet")
    try:
        yield migrate
    finally:
        MigrationExecutor(connection).migrate(newest)


@transaction.atomic
def credited(old: Any, user_id: str, number: int, cents: int, intent: str = "") -> str:
    """A payment as earlier releases credited it: an entry, and a paid top-up. The entry's id."""
    sql("INSERT INTO wallet_wallet VALUES (%s, 0, 0, now()) ON CONFLICT DO NOTHING", user_id)
    entry_id = move(user_id, cents // 100, kind="topup", stripe_session_id=f"cs_{number}")
    facts = {"state": "paid", "paid_cents": cents, "entry_id": entry_id, "paid_at": timezone.now()}
    old.get_model("wallet", "TopUp").objects.create(
        user_id=user_id, stripe_session_id=f"cs_{number}", payment_intent_id=intent, **facts
    )
    return entry_id


@transaction.atomic
def given_by_hand(user_id: str, number: int, credits: int) -> str:
    """The entry of credits that staff gave for a payment."""
    sql("INSERT INTO wallet_wallet VALUES (%s, 0, 0, now()) ON CONFLICT DO NOTHING", user_id)
    return move(user_id, credits, stripe_session_id=f"cs_{number}")


def resolved(old: Any, number: int, payload: str) -> None:
    """An event that staff resolved."""
    names = {"stripe_session_id": f"cs_{number}", "payment_intent_id": f"pi_{number}"}
    facts = {"type": "checkout.session.completed", "state": "resolved", "payload": payload}
    old.get_model("wallet", "StripeEvent").objects.create(id=f"evt_{number}", **names, **facts)


def event_of(status: str) -> str:
    return json.dumps({"data": {"object": {"payment_status": status}}})


def payments() -> dict[str, tuple[str, ...]]:
    rows = Payment.objects.order_by("pk").values_list("pk", "state", "session_id", "user_id", "entry_id")
    return {stripe_id: tuple(facts) for stripe_id, *facts in rows}


@pytest.mark.django_db(transaction=True)
@pytest.mark.single_server(NO_WAY_BACK)
def test_payments_of_earlier_releases_are_brought_in(wallet_at, monkeypatch):
    bring_in = importlib.import_module("wallet.migrations.0013_bring_in_old_payments")
    for limit in ("WALLETS_AT_A_TIME", "EVENTS_AT_A_TIME"):
        monkeypatch.setattr(bring_in, limit, 2)
    old = wallet_at(BEFORE_PAYMENTS)
    first = credited(old, "usr_1", 1, 2550, intent="pi_1")
    second = credited(old, "usr_1", 2, 1000)
    third = credited(old, "usr_2", 3, 500, intent="pi_3")
    fourth = credited(old, "usr_3", 4, 500, intent="pi_3")  # Two sessions of one payment.
    fifth = given_by_hand("usr_4", 5, 27)
    sixth = given_by_hand("usr_5", 6, 1)
    resolved(old, 1, event_of("paid"))  # Its payment came in, so staff gave no credits.
    resolved(old, 5, event_of("paid"))
    resolved(old, 6, event_of("paid"))
    resolved(old, 7, event_of("paid"))
    resolved(old, 8, event_of("unpaid"))
    resolved(old, 9, "no JSON")
    old = wallet_at(WITH_TRIGGER)
    assert payments() == {}
    # Meanwhile the previous release goes on. Its credits get their rows from triggers, also where a refund
    # was reported before its payment.
    Payment.objects.create(stripe_id="pi_12")
    tenth = credited(old, "usr_1", 10, 700, intent="pi_10")
    eleventh = given_by_hand("usr_6", 11, 3)
    resolved(old, 11, event_of("paid"))
    twelfth = credited(old, "usr_1", 12, 700, intent="pi_12")
    since_then = {
        "cs_12": ("credited", "cs_12", "usr_1", twelfth),
        "pi_12": ("credited", "cs_12", "usr_1", twelfth),
        "cs_10": ("credited", "cs_10", "usr_1", tenth),
        "pi_10": ("credited", "cs_10", "usr_1", tenth),
        "cs_11": ("by_hand", "cs_11", "usr_6", eleventh),
    }
    assert payments() == since_then
    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes("wallet"))
    wanted = since_then | {
        "pi_11": ("by_hand", "cs_11", "usr_6", eleventh),
        "cs_1": ("credited", "cs_1", "usr_1", first),
        "pi_1": ("credited", "cs_1", "usr_1", first),
        "cs_2": ("credited", "cs_2", "usr_1", second),
        "cs_3": ("credited", "cs_3", "usr_2", third),
        "pi_3": ("credited", "cs_3", "usr_2", third),
        "cs_4": ("credited", "cs_4", "usr_3", fourth),
        "cs_5": ("by_hand", "cs_5", "usr_4", fifth),
        "pi_5": ("by_hand", "cs_5", "usr_4", fifth),
        "cs_6": ("by_hand", "cs_6", "usr_5", sixth),
        "pi_6": ("by_hand", "cs_6", "usr_5", sixth),
        "cs_7": ("closed", "cs_7", "", ""),
        "pi_7": ("closed", "cs_7", "", ""),
        "cs_9": ("closed", "cs_9", "", ""),
        "pi_9": ("closed", "cs_9", "", ""),
    }
    assert payments() == wanted
    assert laws.violations() == []
    with connection.schema_editor(atomic=False) as editor:
        for operation in bring_in.Migration.operations:  # Again, as after an interruption.
            operation.code(apps, editor)
    assert payments() == wanted
