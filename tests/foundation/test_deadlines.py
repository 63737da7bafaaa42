"""The deadline of a request: what is left for each wait, and no wait after it."""

import socket
import time

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import StoppedProduct
from foundation import deadlines
from foundation.database.transactions import is_out_of_reach, retried
from tests.crowd import locked_by_another
from tests.limits import OF_TESTS, limited

# The time of a test's request, and far below the limits of a single wait in the tests.
SHORT = 0.3
# The limit of a single wait in the tests.
LONG = 60.0


def test_without_a_request_there_is_no_deadline():
    assert deadlines.seconds_left() is None
    assert not deadlines.is_over()


def left():
    seconds = deadlines.seconds_left()
    assert seconds is not None
    return seconds


def test_a_block_has_its_time_and_the_one_around_it_keeps_its_own():
    with deadlines.within(1000):
        with deadlines.within(-1):
            assert deadlines.is_over()
            assert left() < 0
        assert 500 < left() <= 1000
        with deadlines.within(5000):
            assert left() > 1000
    assert deadlines.seconds_left() is None


def test_a_wait_for_another_service_does_not_count():
    with deadlines.within(1000):
        before, began = left(), time.monotonic()
        with deadlines.paused():
            time.sleep(0.2)
        # However long the lines themselves took.
        assert left() > before - (time.monotonic() - began) + 0.19
    with deadlines.paused():
        pass
    assert deadlines.seconds_left() is None


@pytest.mark.django_db(transaction=True)
def test_statements_share_the_time():
    """Each of three statements would be in time by itself."""
    began = time.monotonic()
    with deadlines.within(SHORT), pytest.raises(OperationalError):
        sleep_three_times(SHORT / 2)
    assert time.monotonic() - began < LONG
    # The server may still run the statement, so the connection is not used again.
    assert connection.connection.closed
    connection.close()


def sleep_three_times(seconds):
    with connection.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT pg_sleep(%s)", [seconds])


@pytest.mark.django_db(transaction=True)
def test_after_the_deadline_nothing_is_sent():
    with deadlines.within(0), pytest.raises(OperationalError, match="time of the request"):
        StoppedProduct.objects.exists()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_runs_out_of_time_is_rolled_back():
    with deadlines.within(SHORT), pytest.raises(OperationalError) as raised:
        stop_slowly()
    assert is_out_of_reach(raised.value)
    connection.close()
    assert not StoppedProduct.objects.exists()


@transaction.atomic
def stop_slowly():
    StoppedProduct.objects.create(product="blog")
    sleep_three_times(SHORT * 3)


@pytest.mark.django_db(transaction=True)
def test_a_wait_for_a_lock_ends_with_the_request():
    StoppedProduct.objects.create(product="blog")
    began = time.monotonic()
    with locked_by_another("SELECT 1 FROM accounts_stoppedproduct WHERE product = %s FOR UPDATE", "blog"):
        with deadlines.within(SHORT), pytest.raises(OperationalError):
            StoppedProduct.objects.update(product="mail")
    assert time.monotonic() - began < LONG
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_what_was_given_up_is_not_done_when_its_lock_becomes_free():
    """The server notices that its client has gone, while the row is still locked."""
    StoppedProduct.objects.create(product="blog")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    lock = "SELECT 1 FROM accounts_stoppedproduct WHERE product = %s FOR UPDATE"
    # With the limits of the tests, the server's own limit for locks does not end the wait.
    with limited(OF_TESTS), locked_by_another(lock, "blog"):
        with deadlines.within(SHORT), pytest.raises(OperationalError):
            StoppedProduct.objects.update(product="mail")
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            give_up_at = time.monotonic() + LONG
            while cursor.fetchone() != (0,):
                assert time.monotonic() < give_up_at
                cursor.execute(waiting)
    assert StoppedProduct.objects.get().product == "blog"


@pytest.mark.django_db(transaction=True)
def test_connecting_ends_with_the_request():
    """A server that takes the connection and says nothing."""
    connection.close()
    where = connection.settings_dict
    kept = where["HOST"], where["PORT"]
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where["HOST"], where["PORT"] = silent.getsockname()
        try:
            with deadlines.within(SHORT), pytest.raises(OperationalError, match="time of the request"):
                connection.ensure_connection()
        finally:
            where["HOST"], where["PORT"] = kept
    assert time.monotonic() - began < LONG


@pytest.mark.django_db(transaction=True)
def test_a_deadlock_is_not_retried_without_time(monkeypatch):
    tries = []

    @retried
    def victim():
        tries.append(deadlines.is_over())
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING errcode = '40P01'; END $$")

    with pytest.raises(OperationalError):
        victim()
    assert len(tries) == 3
    tries.clear()
    with deadlines.within(0), pytest.raises(OperationalError):
        victim()
    assert tries == [True]
    connection.close()
