"""What other tests rest on: each begins on the database as it was, and has limits that only a hang meets."""

import time

import pytest

from accounts.models import Plan
from tests.conftest import KEEPERS, LEDGER
from tests.crowd import begin, second_connection
from tests.databases import Beginning, hold_rows
from tests.factories import UserFactory
from tests.limits import OF_A_REQUEST, limited
from tests.wallet.entries import sql

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
def test_a_ledger_without_a_row_is_told_from_one_with_rows():
    """Of the first only the keepers of the laws are looked at when a test is over."""
    assert len(KEEPERS) == 3
    assert not hold_rows(LEDGER)
    sql("INSERT INTO wallet_closedday VALUES ('2026-01-01', 0, now())")
    assert hold_rows(LEDGER)
    sql("DELETE FROM wallet_closedday")
    assert not hold_rows(LEDGER)
    sql("INSERT INTO wallet_wallet VALUES ('usr_1', 0, 0, now())")
    assert hold_rows(LEDGER)


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
