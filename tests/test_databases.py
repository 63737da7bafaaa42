"""What other tests rest on: each begins on the database as it was, and has limits that only a hang meets."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Plan
from tests import all_laws
from tests.crowd import begin, second_connection
from tests.databases import Beginning
from tests.factories import UserFactory
from tests.limits import OF_A_REQUEST, limited
from tests.wallet.entries import sql
from wallet.books import laws

TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def everything() -> dict[str, str | None]:
    """A digest of each table's rows."""
    digest = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"
    return {table: sql(digest.format(table))[0][0] for (table,) in sql(TABLES)}


@pytest.mark.django_db(transaction=True)
def test_what_was_written_is_gone_and_what_was_changed_is_back(give, article_rate):
    before = everything()
    beginning = Beginning()
    give("usr_2", 5)
    UserFactory.create()
    Plan.objects.update(name="Another")
    sql("DELETE FROM auth_group_permissions")
    sql("INSERT INTO accounts_cache VALUES ('a key', 'a value', now())")
    after = everything()
    assert len([table for table in after if after[table] != before[table]]) > 6
    beginning.restore()
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_a_test_left_open_is_waited_for():
    beginning = Beginning()
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO wallet_wallet VALUES ('usr_late', 0, 0, now())")
        restoring = begin(beginning.restore)
        time.sleep(0.2)
        assert not restoring.done()
        cursor.execute("COMMIT")
        restoring.result(timeout=120)
    assert sql("SELECT count(*) FROM wallet_wallet") == [(0,)]


@pytest.mark.django_db
def test_one_statement_has_every_law(give):
    give("usr_1", 5)
    with CaptureQueriesContext(connection) as queries:
        assert laws.violations() == []
    # Besides: the wallets, some at a time, and the questions whether this is a cluster.
    others = ("ORDER BY user_id LIMIT", "pg_extension")
    besides = [each for each in queries.captured_queries if any(other in each["sql"] for other in others)]
    assert len(queries) == len(all_laws.LAWS) + len(besides)


@pytest.mark.django_db
@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    "breaking",
    [
        "UPDATE wallet_wallet SET balance = 6",
        "UPDATE wallet_wallet SET entries_count = 7",
        "DELETE FROM wallet_payment",
        "ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_counts_from_one",
        "ALTER TABLE wallet_entry DISABLE TRIGGER wallet_entry_is_not_truncated",
        "DROP INDEX wallet_entry_key_once",
        "CREATE RULE lost AS ON DELETE TO wallet_wallet DO INSTEAD NOTHING",
    ],
)
def test_one_statement_finds_what_the_laws_find(give, breaking):
    give("usr_1", 5)
    connection.check_constraints()
    assert all_laws.broken() == []
    for statement in ("SET LOCAL session_replication_role = replica", breaking):
        sql(statement)
    assert set(all_laws.broken()) == set(laws.violations()) != set()


@pytest.mark.django_db(transaction=True)
def test_one_statement_is_planned_again_on_a_new_connection():
    assert all_laws.broken() == []
    connection.close()
    assert all_laws.broken() == []


@pytest.mark.django_db(transaction=True)
def test_tests_have_time_and_those_about_limits_have_the_services_own():
    def limits() -> tuple[str, str]:
        return sql("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")[0]

    assert limits() == ("2min", "75s")
    with limited(OF_A_REQUEST):
        assert limits() == ("2s", "1250ms")
        with second_connection() as other:
            other.ensure_connection()
            assert other.connection.seconds_max == OF_A_REQUEST.answer_seconds
    assert limits() == ("2min", "75s")
