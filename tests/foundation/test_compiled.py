"""Statements that are compiled once and sent together."""

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, OperationalError, connection, transaction

from foundation.database import compiled
from foundation.database.compiled import number, text
from wallet.models import Wallet
from wallet.prices.models import Rate

RATE_OF = compiled.select(
    lambda: Rate.objects.filter(feature=text("feature"), active=True).values_list("credits", "unit")
)
RAISE = compiled.update(
    lambda: Rate.objects.filter(feature=text("feature")), credits=number("credits"), returning=["credits"]
)
OPEN = compiled.insert(
    Wallet,
    returning=["balance", "created_at"],
    user_id=text("user_id"),
    balance=0,
    entries_count=0,
    created_at=compiled.Slot("at", Wallet._meta.get_field("created_at")),
)
ONE_OVER = compiled.written("SELECT 1 / %(divisor)s, %(divisor)s::int")
UNSUPPORTED = compiled.written("SELECT count(*) FROM wallet_rate WHERE feature = %(feature)s FOR UPDATE")

# They change a price by SQL, without the record of its change.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.breaks_the_books]


def status():
    return connection.connection.info.transaction_status


def test_a_statement_takes_other_values_each_time(article_rate):
    with transaction.atomic():
        found, unknown = compiled.run(RATE_OF(feature=article_rate), RATE_OF(feature="no.such"))
    assert (found, unknown) == ([(1, "article")], [])
    with transaction.atomic():
        changed, after = compiled.run(RAISE(feature=article_rate, credits=7), RATE_OF(feature=article_rate))
    assert (changed, after) == ([(7,)], [(7, "article")])


def test_a_row_is_written_with_its_defaults_and_its_times(article_rate):
    with transaction.atomic():
        [[(balance, created_at)]] = compiled.run(OPEN(user_id="usr_1", at="2026-03-01 10:00+00"))
    assert balance == 0
    assert Wallet.objects.get().created_at == created_at
    assert Wallet.objects.get().held == 0


def test_text_is_never_part_of_a_statement():
    with transaction.atomic():
        assert compiled.run(RATE_OF(feature="'; DROP TABLE wallet_rate; --")) == [[]]


def test_without_a_transaction_nothing_is_sent():
    with pytest.raises(AssertionError, match="one transaction"):
        compiled.run(RATE_OF(feature="x"))


def test_what_is_the_last_of_its_transaction_is_committed_at_once(article_rate):
    with transaction.atomic():
        compiled.run(RAISE(feature=article_rate, credits=2))
        assert status() == psycopg.pq.TransactionStatus.INTRANS
        compiled.run(RAISE(feature=article_rate, credits=3), commit=True)
        assert status() == psycopg.pq.TransactionStatus.IDLE
    assert Rate.objects.get(feature=article_rate).credits == 3


def test_a_block_inside_another_one_does_not_commit(article_rate):
    with transaction.atomic():
        with transaction.atomic():
            compiled.run(RAISE(feature=article_rate, credits=3), commit=True)
        transaction.set_rollback(True)
    assert Rate.objects.get(feature=article_rate).credits == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_after_an_error_nothing_is_kept_and_the_connection_goes_on(article_rate, place):
    calls = [RAISE(feature=article_rate, credits=2), RAISE(feature=article_rate, credits=3)]
    calls.insert(place, RAISE(feature=article_rate, credits=0))  # A law refuses it.
    for _ in range(2):  # The second time, the statement is prepared already.
        with pytest.raises(IntegrityError, match="wallet_rate_is_never_free"), transaction.atomic():
            compiled.run(*calls, commit=True)
        assert Rate.objects.get(feature=article_rate).credits == 1
    with transaction.atomic():
        assert compiled.run(RAISE(feature=article_rate, credits=5)) == [[(5,)]]


def test_a_statement_that_cannot_be_prepared_is_not_taken_for_prepared():
    wrong = compiled.written("SELECT no_such_column FROM wallet_rate WHERE feature = %(feature)s")
    for _ in range(2):
        with pytest.raises(Exception, match="no_such_column"), transaction.atomic():
            compiled.run(wrong(feature="x"))


def test_a_connection_that_is_lost_is_an_error_and_the_next_transaction_has_a_new_one(article_rate):
    with transaction.atomic():
        compiled.run(RATE_OF(feature=article_rate))
    lost = connection.connection.info.backend_pid

    def broken():
        with transaction.atomic():
            compiled.run(RATE_OF(feature=article_rate))
            with psycopg.connect(**connection_target(), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
            compiled.run(RAISE(feature=article_rate, credits=9), commit=True)

    with pytest.raises(OperationalError):
        broken()
    with transaction.atomic():
        assert compiled.run(RATE_OF(feature=article_rate)) == [[(1, "article")]]
    assert connection.connection.info.backend_pid != lost


@pytest.mark.parametrize(
    "change",
    [
        "DISCARD ALL",  # As a pooler does between two clients.
        "ALTER TABLE wallet_rate ALTER COLUMN unit TYPE varchar(199)",  # As a migration does.
    ],
)
def test_a_statement_that_can_no_longer_be_used_is_prepared_again(article_rate, change):
    def read():
        with transaction.atomic():
            return compiled.run(RATE_OF(feature=article_rate))

    read()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'wallet_rate'::regclass AND attname = 'unit'"
        )
        [before] = cursor.fetchone()
        cursor.execute(change)
    try:
        with pytest.raises(OperationalError, match="no longer be used"):
            read()
        assert read() == [[(1, "article")]]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE wallet_rate ALTER COLUMN unit TYPE {before}")


def test_what_the_server_does_not_support_is_an_error_of_its_own():
    """It is no statement that another try could make good."""
    with pytest.raises(NotSupportedError, match="not allowed with aggregate"), transaction.atomic():
        compiled.run(UNSUPPORTED(feature="x"))


def test_a_statement_is_prepared_once_also_if_one_message_has_it_twice():
    connection.close()
    with transaction.atomic():
        rows = compiled.run(*(ONE_OVER(divisor=divisor) for divisor in (1, 2, 1)))
    assert rows == [[(1, 1)], [(0, 2)], [(1, 1)]]


def connection_target():
    target = connection.get_connection_params()
    return {
        name: value
        for name, value in target.items()
        if name in {"dbname", "user", "password", "host", "port"}
    }
