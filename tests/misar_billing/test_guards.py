"""Each guard of each table that is off, gone or changed is named, and so is what no release has put there."""

import pytest
from django.core.management import call_command
from django.db import connection

import accounts.guards
import monetization.guards
import wallet.books.guards
from accounts.laws import LAWS as LAWS_OF_ACCOUNTS
from foundation.database.guards import law
from misar_billing.guards import LAWS as LAWS_OF_OTHERS
from monetization.laws import LAWS as LAWS_OF_RECORDS
from tests.wallet.entries import sql
from wallet.books import laws

INVENTORIES = [accounts.guards.GUARDS, wallet.books.guards.GUARDS, monetization.guards.GUARDS]
TRIGGERS = [(table, name) for guards in INVENTORIES for name, (table, _) in guards.triggers.items()]
TABLES = sorted({table for table, _ in TRIGGERS})
FUNCTIONS = [name for guards in INVENTORIES for name in guards.functions]
ON, NAMED = ("wallet_entry", "wallet_entry_is_history")

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


def found():
    """What the laws about guards name: the subject and the detail."""
    queries = [law(guards) for guards in INVENTORIES] + list(LAWS_OF_OTHERS.values())
    return sorted((each.subject, each.detail) for query in queries for each in laws.broken("", query, {}))


def definition():
    [(text,)] = sql("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", NAMED)
    return text


def test_the_laws_of_each_app_are_checked():
    checked = {*laws.LAWS_OF_THE_WHOLE.values(), *LAWS_OF_RECORDS.values()}
    assert checked >= {law(guards) for guards in INVENTORIES}
    assert set(LAWS_OF_ACCOUNTS) <= set(laws.LAWS_OF_THE_WHOLE)
    assert found() == []


def test_each_trigger_has_its_function_in_an_inventory():
    used = sql("SELECT DISTINCT tgfoid::regprocedure::text FROM pg_trigger WHERE NOT tgisinternal")
    assert {name for (name,) in used} <= set(FUNCTIONS)


@pytest.mark.parametrize(("table", "name"), TRIGGERS)
def test_a_trigger_that_is_off_or_gone(table, name):
    for command, detail in [
        (f"ALTER TABLE {table} DISABLE TRIGGER {name}", "switched off"),
        (f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}", "switched off"),
        (f"DROP TRIGGER {name} ON {table}", "missing"),
    ]:
        sql(command)
        assert found() == [(name, detail)]


def test_a_restored_trigger_is_the_same():
    """A dump has each trigger as pg_get_triggerdef writes it. Reading that text may change the condition."""
    for table, name in TRIGGERS:
        [(text,)] = sql(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s AND tgrelid = %s::regclass",
            name,
            table,
        )
        sql(f"DROP TRIGGER {name} ON {table}")
        sql(text.replace("%", "%%"))
    assert found() == []


@pytest.mark.parametrize("table", TABLES)
def test_all_triggers_of_a_table_that_are_off(table):
    """Those of its foreign keys too, which only a superuser can switch off."""
    sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    keys = sql(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND %s::regclass IN (conrelid, confrelid)",
        table,
    )
    wanted = [(name, "switched off") for on_table, name in TRIGGERS if on_table == table]
    assert found() == sorted(wanted + [(name, "its triggers are switched off") for (name,) in keys])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_was_emptied(name):
    sql("UPDATE pg_proc SET prosrc = ' BEGIN RETURN NEW; END ' WHERE oid = %s::regprocedure", name)
    assert found() == [(name, "another definition")]


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE FUNCTION {} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "ALTER FUNCTION {} SECURITY DEFINER",
        "ALTER FUNCTION {} SET search_path = pg_temp, public",
    ],
)
def test_a_function_that_was_changed(change):
    [(function,)] = sql("SELECT tgfoid::regprocedure::text FROM pg_trigger WHERE tgname = %s", NAMED)
    sql(change.format(function))
    assert found() == [(function, "another definition")]


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (" BEFORE ", " AFTER "),
        ("DELETE OR UPDATE", "DELETE"),
        ("DELETE OR UPDATE", "DELETE OR UPDATE OF reason"),
        ("FOR EACH ROW ", "FOR EACH STATEMENT "),
        ("FOR EACH ROW ", "FOR EACH ROW WHEN (OLD.credits > 0) "),
    ],
)
def test_a_trigger_that_was_made_again_with_a_gap(part, other):
    text = definition()
    assert part in text
    sql(f"DROP TRIGGER {NAMED} ON {ON}")
    sql(text.replace(part, other))
    assert found() == [(NAMED, "another definition")]


def test_a_trigger_with_another_condition():
    name = "wallet_wallet_keeps_what_is_its_own"
    [(text,)] = sql("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", name)
    sql(f"DROP TRIGGER {name} ON wallet_wallet")
    sql(text.replace("new.open_holds", "old.open_holds"))
    assert found() == [(name, "another definition")]


def test_a_trigger_that_calls_a_function_of_the_same_name():
    text = definition()
    function = text.rpartition("EXECUTE FUNCTION ")[2]
    sql("CREATE SCHEMA elsewhere")
    plain = function.removeprefix("public.").partition("(")[0]
    sql(f"CREATE FUNCTION elsewhere.{plain}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    sql(f"DROP TRIGGER {NAMED} ON {ON}")
    sql(text.replace(function, f"elsewhere.{function.removeprefix('public.')}"))
    assert found() == [(NAMED, "another definition")]


@pytest.mark.parametrize("table", ["wallet_entry", "accounts_act", "monetization_tip", "django_session"])
def test_a_trigger_and_a_rule_that_no_release_has(table):
    sql("CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    sql(f"CREATE TRIGGER aside BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION skip()")
    sql(f"CREATE RULE around AS ON DELETE TO {table} DO INSTEAD NOTHING")
    assert found() == [
        ("around", f"a rule of {table}"),
        ("aside", "unknown to this release"),
        ("skip()", "a function that no release has"),
    ]


def test_a_function_that_no_release_has():
    sql("CREATE FUNCTION wallet_skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    assert found() == [("wallet_skip()", "unknown to this release")]


NEVER = "CREATE FUNCTION elsewhere.never({0}, {1}) RETURNS boolean LANGUAGE sql AS 'SELECT false'"
EQUALS = "CREATE OPERATOR public.= (LEFTARG = {0}, RIGHTARG = {1}, FUNCTION = elsewhere.never)"
FOREIGN = [
    (
        "CREATE SCHEMA elsewhere; "
        + NEVER.format("varchar", "text")
        + "; "
        + EQUALS.format("varchar", "text"),
        ("=(character varying, text)", "an operator that no release has"),
    ),
    (
        "CREATE CAST (varchar AS bigint) WITH INOUT AS IMPLICIT",
        ("character varying to bigint", "a cast that no release has"),
    ),
    (
        "CREATE FUNCTION public.sha256(text) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'",
        ("sha256(text)", "a function that no release has"),
    ),
    ("CREATE DOMAIN public.bigint AS text", ("bigint", "a type that no release has")),
    ("CREATE TYPE public.pair AS (a int)", ("pair", "a type that no release has")),
    ("CREATE TABLE public.text (a int)", ("text", "a type that no release has")),
    (
        "ALTER TABLE wallet_seal RENAME TO kept; CREATE VIEW wallet_seal AS SELECT * FROM kept LIMIT 1",
        ("wallet_seal", "no ordinary table"),
    ),
    (
        "CREATE TABLE more () INHERITS (wallet_tableseal)",
        ("wallet_tableseal", "the table more inherits from it"),
    ),
    ("ALTER TABLE wallet_entry ENABLE ROW LEVEL SECURITY", ("wallet_entry", "row security is on")),
    ("ALTER TABLE wallet_entry FORCE ROW LEVEL SECURITY", ("wallet_entry", "row security is on")),
]


@pytest.mark.parametrize(("change", "named"), FOREIGN, ids=lambda each: each[0][:30])
def test_what_changes_the_meaning_of_a_query(change, named):
    sql(change)
    assert named in found()


def test_what_extensions_bring_is_known():
    sql("CREATE EXTENSION citext SCHEMA public")
    assert found() == []


@pytest.mark.parametrize(
    "setting", ["search_path = public, pg_catalog", "session_replication_role = replica"]
)
@pytest.mark.parametrize(
    ("target", "subject"),
    [
        ("ROLE lazy", "lazy"),
        ("ROLE lazy IN DATABASE {}", "lazy"),
        ("DATABASE {}", "all roles"),
        ("ROLE ALL", "all roles"),
    ],
)
def test_a_setting_of_a_role_or_of_the_database(setting, target, subject):
    sql("CREATE ROLE lazy")
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    sql(f"ALTER {target.format(name)} SET {setting}")
    [(named, detail)] = found()
    assert (named, detail.partition("=")[0]) == (subject, setting.partition(" ")[0])


def test_a_trigger_that_always_fires_is_in_force():
    sql(f"ALTER TABLE {ON} ENABLE ALWAYS TRIGGER {NAMED}")
    assert found() == []


@pytest.mark.parametrize("path", ["''", "pg_catalog, public", "pg_temp"])
def test_the_search_path_changes_no_digest(path):
    sql(f"SET LOCAL search_path = {path}")
    assert found() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [[], ["--seals"]])
@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("accounts_act", "accounts_act_is_history"),
        ("wallet_entry", "wallet_entry_is_history"),
        ("monetization_subscriptionevent", "monetization_event_is_history"),
        ("django_session", None),
    ],
)
def test_check_ledger_looks_at_the_tables_of_each_app(table, name, options, capsys):
    if name is None:
        name, detail = "aside", "unknown to this release"
        sql("CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        sql(f"CREATE TRIGGER aside BEFORE TRUNCATE ON {table} EXECUTE FUNCTION skip()")
        back = "DROP FUNCTION skip() CASCADE"
    else:
        detail, back = "switched off", f"ALTER TABLE {table} ENABLE TRIGGER {name}"
        sql(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
    try:
        with pytest.raises(SystemExit) as end:
            call_command("check_ledger", *options)
    finally:
        sql(back)
    assert end.value.code == 1
    assert f": {name}: {detail}" in capsys.readouterr().out
    assert connection.in_atomic_block is False


def test_a_condition_is_the_same_after_a_dump():
    """A dump writes an array of varchar with other casts, so a restore had another digest."""
    assert not [
        name
        for name, text in sql("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal")
        if "ARRAY[" in text
    ]
