"""Every migration can be undone, and redoing it gives the same tables."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

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


@pytest.mark.django_db(transaction=True)  # Some indexes are built concurrently, outside a transaction.
@pytest.mark.breaks_the_books
@pytest.mark.slow
def test_the_tables_are_the_same_after_undoing_and_redoing():
    before = tables()
    for app in reversed(APPS):
        call_command("migrate", app, "zero", verbosity=0)
    assert not [name for name in tables() if name.startswith(tuple(APPS))]
    call_command("migrate", verbosity=0)
    assert tables() == before


def tables() -> dict[str, set[tuple[str, ...]]]:
    """Every table with its columns, constraints, indexes and triggers."""
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
                parts.setdefault(table, set()).add(tuple(str(fact) for fact in facts))
    return parts


@pytest.mark.django_db
def test_the_models_have_all_their_migrations():
    call_command("makemigrations", check=True, dry_run=True, verbosity=3)
