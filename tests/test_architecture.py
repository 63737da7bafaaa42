"""The lines of the house: who may import whom, who may write what, and how long a file may be."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

ROOT = Path(settings.BASE_DIR)
LINES_MAX = 500
NOT_OURS = {".venv", ".git", "var", "node_modules", "staticfiles"}

# What each app may import of the others. Imports run one way.
APPS = {"accounts": set(), "wallet": {"accounts"}, "monetization": {"wallet", "accounts"}}
# The side of the project package that all apps share; the rest is wiring, which no app imports.
SHARED = {
    "admin",
    "admin_files",
    "admin_lists",
    "api",
    "cursors",
    "database",
    "errors",
    "fields",
    "health",
    "identifiers",
    "last_resort",
    "money",
    "operators",
    "policy",
    "postgres",
    "requests",
    "spreadsheets",
    "transactions",
}
# Where an app meets the outside; everything else in it is a model or a verb.
EDGES = {
    *(
        "acting",
        "adapters",
        "admin",
        "api",
        "apps",
        "by_hand",
        "authentication",
        "decorators",
        "forms",
        "management",
        "middleware",
    ),
    *("migrations", "permissions", "sessions", "throttling", "urls", "views"),
}
VERBS = {
    "wallet": "ledger deductions rates topups statements periods spending products pages receipts "
    "return_urls webhooks reconciliation invariants stripe_gateway",
    "accounts": "acts keys sso plans users outbox second_factor",
}
WRITES = {
    "create",
    "bulk_create",
    "get_or_create",
    "update_or_create",
    "update",
    "bulk_update",
    "delete",
    "save",
}


def python_files(*folders: str) -> list[Path]:
    places = [ROOT / folder for folder in folders] or [ROOT]
    found = (path for place in places for path in sorted(place.rglob("*.py")))
    return [path for path in found if not NOT_OURS & set(path.relative_to(ROOT).parts)]


def name_of(path: Path) -> str:
    """The module's name: wallet.api.views."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it the import stands."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


# --- Imports ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", APPS)
def test_imports_between_apps_run_one_way(app):
    forbidden = set(APPS) - APPS[app] - {app}
    crossings = [
        f"{name_of(path)} imports {module}"
        for path in python_files(app)
        for module in imports_of(path)
        if module.split(".")[0] in forbidden
    ]
    assert crossings == []


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_the_shared_side_of_the_project_only(app):
    crossings = [
        f"{name_of(path)} imports {module}"
        for path in python_files(app)
        for module in imports_of(path)
        if is_within(module, "misar_billing") and module.split(".")[1] not in SHARED
    ]
    assert crossings == []


@pytest.mark.parametrize("shared", sorted(SHARED))
def test_what_all_apps_share_imports_none(shared):
    path = ROOT / "misar_billing" / f"{shared}.py"
    for module in imports_of(path):
        assert module.split(".")[0] not in APPS, f"{shared} imports {module}"
        if is_within(module, "misar_billing"):
            assert module.split(".")[1] in SHARED, f"{shared} imports {module}"


def inner_modules(app: str) -> list[Path]:
    """An app's models and verbs."""
    return [
        path
        for path in python_files(app)
        if path.relative_to(ROOT / app).parts[0].removesuffix(".py") not in EDGES
    ]


def test_the_known_verbs_are_among_them():
    for app, verbs in VERBS.items():
        assert set(verbs.split()) <= {path.stem for path in inner_modules(app)}


@pytest.mark.parametrize("app", APPS)
def test_models_and_verbs_know_nothing_of_http_or_of_their_edges(app):
    outside = ["rest_framework", "django.http", "django.shortcuts", "django.contrib.admin", "drf_spectacular"]
    outside += [f"{each}.{edge}" for each in APPS for edge in EDGES]
    crossings = [
        f"{name_of(path)} imports {module}"
        for path in inner_modules(app)
        for module in imports_of(path)
        if any(is_within(module, package) for package in outside)
        and module != "django.contrib.admin.models.LogEntry"  # A table, not a page.
    ]
    assert crossings == []


def test_one_file_speaks_to_stripe():
    speakers = [
        name_of(path)
        for path in python_files("accounts", "wallet", "monetization", "misar_billing")
        if any(is_within(module, "stripe") for module in imports_of(path))
    ]
    assert speakers == ["wallet.payments.stripe_gateway"]


def test_production_code_never_imports_the_tests():
    for path in python_files("accounts", "wallet", "monetization", "misar_billing"):
        assert not [module for module in imports_of(path) if is_within(module, "tests")], name_of(path)


# --- Who writes -------------------------------------------------------------------------------------


def writers_of(*models: str, through: str) -> dict[str, list[int]]:
    """The files with a line that makes, changes or removes rows of these models, and which lines."""
    found: dict[str, list[int]] = {}
    for path in python_files("accounts", "wallet", "monetization", "misar_billing"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and writes(node, models, through):
                found.setdefault(name_of(path), []).append(node.lineno)
    return found


def writes(call: ast.Call, models: tuple[str, ...], through: str) -> bool:
    """`Entry(...)`, `Entry.objects.filter(...).update(...)`, `wallet.entries.create(...)`."""
    if isinstance(call.func, ast.Name):
        return call.func.id in models
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in WRITES:
        return False
    node: ast.expr = call.func.value
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute) and node.attr == through:
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in models


def test_the_ledger_alone_writes_entries_and_balances():
    assert set(writers_of("Entry", "Wallet", through="entries")) == {"wallet.books.ledger"}


def test_no_sql_in_python_goes_round_the_ledger():
    for path in python_files("accounts", "wallet", "monetization", "misar_billing"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.lower().split()).replace('"', "")
                for verb in ("insert into", "update", "delete from", "truncate"):
                    for table in ("wallet_entry", "wallet_wallet"):
                        assert f"{verb} {table}" not in text, f"{name_of(path)}:{node.lineno}"


def test_this_test_would_notice():
    """The finder itself, on lines it must and must not report."""
    must = (
        "Entry(credits=1)",
        "Entry.objects.create(credits=1)",
        "Wallet.objects.filter(pk=1).update(balance=0)",
        "Wallet.objects.select_for_update().get(pk=1).save()",
        "wallet.entries.create(credits=1)",
        "Entry.objects.all().delete()",
    )
    must_not = (
        "Entry.objects.filter(pk=1).first()",
        "Rate.objects.create()",
        "topup.save()",
        "hash.update(b'')",
    )
    for line in (*must, *must_not):
        (call,) = [node for node in ast.parse(line).body[0].__dict__.values() if isinstance(node, ast.Call)]
        assert writes(call, ("Entry", "Wallet"), "entries") is (line in must), line


# --- Migrations -------------------------------------------------------------------------------------


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


@pytest.mark.django_db(transaction=True)  # Some indexes are built concurrently, outside any transaction.
@pytest.mark.breaks_the_books
def test_undone_and_done_again_the_tables_are_the_same():
    before = tables()
    for app in reversed(APPS):
        call_command("migrate", app, "zero", verbosity=0)
    assert not [name for name in tables() if name.startswith(tuple(APPS))]
    call_command("migrate", verbosity=0)
    assert tables() == before


def tables() -> dict[str, set[tuple[str, ...]]]:
    """Every table, and what it is made of: columns, constraints, indexes, triggers."""
    found: dict[str, set[tuple[str, ...]]] = {}
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
                found.setdefault(table, set()).add(tuple(str(fact) for fact in facts))
    return found


@pytest.mark.django_db
def test_the_models_have_all_their_migrations():
    call_command("makemigrations", check=True, dry_run=True, verbosity=3)


# --- Files ------------------------------------------------------------------------------------------


def test_no_file_is_longer_than_can_be_read():
    long = {
        name_of(path): count
        for path in python_files()
        if (count := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}
