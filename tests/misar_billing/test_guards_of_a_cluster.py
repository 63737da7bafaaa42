"""What one server of a cluster has lost or was given is found: each node is asked about each shard it has."""

from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg import sql

from foundation.database import cluster, nodes
from foundation.operators import COULD_NOT_LOOK, FOUND
from misar_billing import guards
from tests import clusters
from wallet.books.laws import broken, in_force

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_books]

LAWS = guards.ALL | in_force.LAWS_OF_THE_WHOLE
# One server is changed by hand only if a session says so.
BY_HAND = "SET citus.enable_manual_changes_to_shards = on; SET citus.enable_ddl_propagation = off"


@pytest.fixture
def worker():
    """A session with one worker, as an administrator of that server has it."""
    if not clusters.nodes():
        pytest.skip("needs a cluster: DATABASE_URL names a database without Citus")
    node = clusters.nodes()[-1]
    with clusters.session_on(connection.settings_dict["NAME"], node) as session:
        session.execute(BY_HAND)
        yield session


@pytest.fixture
def shard(worker):
    """One shard of the entries that is on this worker."""
    [(name,)] = worker.execute(
        "SELECT 'wallet_entry_' || min(shardid) FROM pg_dist_shard JOIN pg_dist_placement USING (shardid)"
        " WHERE logicalrelid = 'wallet_entry'::regclass"
        "   AND groupid = (SELECT groupid FROM pg_dist_local_group)"
    ).fetchall()
    return name


def found():
    everything = [each for law, query in LAWS.items() for each in broken(law, query, {})]
    return sorted((each.subject, each.detail) for each in [*everything, *guards.misplaced()])


def text_of(session, kind, query, *values):
    [(text,)] = session.execute(f"SELECT pg_get_{kind}def(oid) FROM {query}", values).fetchall()
    return text


@contextmanager
def changed(session, change, back):
    for statement in change:
        session.execute(statement)
    try:
        yield f", on {clusters.nodes()[-1]}"
    finally:
        for statement in back:
            session.execute(statement)


def test_a_cluster_as_this_release_makes_it_breaks_no_law(worker):
    assert found() == []


def test_a_trigger_that_is_gone_from_one_shard(worker, shard):
    number = shard.removeprefix("wallet_entry")
    name = f"wallet_entry_is_history{number}"
    text = text_of(worker, "trigger", "pg_trigger WHERE tgname = %s", name)
    with changed(worker, [f"DROP TRIGGER {name} ON {shard}"], [text]) as there:
        assert found() == [(name, "missing" + there)]
        stdout = StringIO()
        with pytest.raises(SystemExit) as exited:
            call_command("check_ledger", stdout=stdout)
        assert exited.value.code == FOUND
        assert f"{name}: missing{there}" in stdout.getvalue()
    assert found() == []


def test_a_trigger_of_one_shard_that_is_off_or_another_one(worker, shard):
    number = shard.removeprefix("wallet_entry")
    name = f"wallet_entry_is_history{number}"
    text = text_of(worker, "trigger", "pg_trigger WHERE tgname = %s", name)
    off, on = (f"ALTER TABLE {shard} {verb} TRIGGER {name}" for verb in ("DISABLE", "ENABLE"))
    with changed(worker, [off], [on]) as there:
        assert found() == [(name, "switched off" + there)]
    gone, weaker = f"DROP TRIGGER {name} ON {shard}", text.replace("DELETE OR UPDATE", "DELETE")
    assert weaker != text
    with changed(worker, [gone, weaker], [gone, text]) as there:
        assert found() == [(name, "another definition" + there)]


def test_a_trigger_of_one_shard_that_no_release_has(worker, shard):
    made = f"CREATE TRIGGER aside BEFORE INSERT ON {shard} FOR EACH ROW EXECUTE FUNCTION wallet_history()"
    [(function,)] = worker.execute(
        "SELECT tgfoid::regproc::text FROM pg_trigger WHERE tgname LIKE 'wallet_entry_is_history%' LIMIT 1"
    ).fetchall()
    number = shard.removeprefix("wallet_entry")
    made = made.replace("wallet_history", function)
    with changed(worker, [made], [f"DROP TRIGGER aside ON {shard}"]) as there:
        assert found() == [(f"aside{number}", "unknown to this release" + there)]


def test_a_function_that_differs_on_one_node(worker):
    name = "wallet_entry_follows_its_wallet()"
    [(function, text)] = worker.execute(
        "SELECT tgfoid::regprocedure::text, pg_get_functiondef(tgfoid) FROM pg_trigger"
        " WHERE tgname = 'wallet_entry_follows_its_wallet'"
    ).fetchall()
    emptied = (
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    assert function.endswith(name)
    with changed(worker, [emptied], [text]) as there:
        assert found() == [(function, "another definition" + there)]


def test_a_constraint_of_one_shard_that_is_gone_or_weaker(worker, shard):
    name = "wallet_entry_moves_something"
    text = text_of(
        worker, "constraint", f"pg_constraint WHERE conname = %s AND conrelid = '{shard}'::regclass", name
    )
    gone, back = (
        f"ALTER TABLE {shard} DROP CONSTRAINT {name}",
        f"ALTER TABLE {shard} ADD CONSTRAINT {name} {text}",
    )
    number = shard.removeprefix("wallet_entry")
    with changed(worker, [gone], [back]) as there:
        assert found() == [(name + number, "missing or not validated" + there)]
    weaker = f"ALTER TABLE {shard} ADD CONSTRAINT {name} CHECK (true)"
    with changed(worker, [gone, weaker], [gone, back]) as there:
        assert found() == [(name + number, "missing or not validated" + there)]


def test_a_unique_index_of_one_shard_that_is_gone(worker, shard):
    name = "wallet_entry_key_once" + shard.removeprefix("wallet_entry")
    text = text_of(worker, "index", "(SELECT to_regclass(%s)::oid AS oid) AS its", name)
    with changed(worker, [f"DROP INDEX {name}"], [text]) as there:
        assert found() == [(name, "missing or not valid" + there)]


def test_row_security_of_one_shard(worker, shard):
    on, off = (f"ALTER TABLE {shard} {verb} ROW LEVEL SECURITY" for verb in ("ENABLE", "DISABLE"))
    with changed(worker, [on], [off]) as there:
        assert found() == [(shard, "row security is on" + there)]


def test_an_operator_of_one_node_blinds_no_law(worker, shard):
    """An operator whose types fit exactly wins over that of PostgreSQL, in a session without a fixed path."""
    made = [
        "CREATE SCHEMA elsewhere",
        "CREATE FUNCTION elsewhere.never(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = elsewhere.never)",
        f"ALTER TABLE {shard} DISABLE TRIGGER wallet_entry_is_history{shard.removeprefix('wallet_entry')}",
    ]
    back = [
        "DROP OPERATOR public.= (name, name)",
        "DROP SCHEMA elsewhere CASCADE",
        made[-1].replace("DISABLE", "ENABLE"),
    ]
    path = sql.SQL("ALTER DATABASE {} SET search_path = public, pg_catalog").format(
        sql.Identifier(connection.settings_dict["NAME"])
    )
    reset = sql.SQL("ALTER DATABASE {} RESET search_path").format(
        sql.Identifier(connection.settings_dict["NAME"])
    )
    with changed(worker, [*made, path], [*back, reset]) as there:
        assert found() == sorted(
            [
                ("=(name, name)", "an operator that no release has" + there),
                ("all roles", "search_path=public, pg_catalog" + there),
                (f"wallet_entry_is_history{shard.removeprefix('wallet_entry')}", "switched off" + there),
            ]
        )


def test_a_table_that_is_not_placed_is_named(worker):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE wallet_aside (id bigint PRIMARY KEY)")
        try:
            assert found() == [("wallet_aside", "not placed, not local")]
        finally:
            cursor.execute("DROP TABLE wallet_aside")


def test_a_node_that_does_not_answer_is_no_clean_result(worker):
    name = sql.Identifier(connection.settings_dict["NAME"])
    node: cluster.Node = clusters.nodes()[-1]
    with clusters.session_on("postgres", node) as administrator:
        closed, opened = (
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(name, sql.SQL(allowed))
            for allowed in ("false", "true")
        )
        with changed(administrator, [closed], [opened]):
            with pytest.raises(nodes.NodeUnreadable, match=f"The node {node} could not be asked"):
                found()
            with pytest.raises(CommandError) as refused:
                call_command("check_ledger", stdout=StringIO())
            assert refused.value.returncode == COULD_NOT_LOOK
    assert found() == []


def test_a_price_that_differs_on_one_node(worker):
    [(shard,)] = worker.execute(
        "SELECT 'wallet_rate_' || shardid FROM pg_dist_shard WHERE logicalrelid = 'wallet_rate'::regclass"
    ).fetchall()
    more, back = (
        f"UPDATE {shard} SET credits = credits {by} WHERE feature = 'mail.send'" for by in ("+ 1", "- 1")
    )
    with changed(worker, [more], [back]) as there:
        assert found() == [("wallet_rate", "other rows than on most nodes" + there)]
    assert found() == []
