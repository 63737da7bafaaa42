"""An idle connection: no ping before its use, and still no error when the server has closed it."""

from typing import Any

import psycopg
import pytest
from django.db import InternalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from foundation.database.engine.base import DatabaseWrapper
from tests.foundation.test_compiled import connection_target
from wallet.models import Wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def checked():
    """A connection that is open, and whose health is checked as at the first use in a request."""
    checked: Any = connection
    checked.ensure_connection()
    checked.health_check_enabled, checked.health_check_done = True, False
    yield checked
    checked.health_check_enabled = False
    checked.close()


def pid():
    return connection.connection.info.backend_pid


def elsewhere(statement, *values):
    with psycopg.connect(**connection_target(), autocommit=True) as other:
        other.execute(statement, values)


def test_a_quiet_connection_is_used_as_it_is(checked, monkeypatch):
    monkeypatch.setattr(DatabaseWrapper, "is_usable", lambda self: pytest.fail("the server was asked"))
    before = pid()
    assert Wallet.objects.count() == 0
    assert pid() == before


def test_a_connection_that_the_server_has_closed_is_replaced_before_its_use(checked):
    before = pid()
    elsewhere("SELECT pg_terminate_backend(%s, 5000)", before)
    assert Wallet.objects.count() == 0
    assert pid() != before


def test_a_connection_on_which_a_notice_came_in_is_asked_and_kept(checked):
    before = pid()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    checked.health_check_done = False
    elsewhere("NOTIFY news")
    assert not connection.connection.is_quiet or pid() == before
    assert Wallet.objects.count() == 0
    assert pid() == before


def test_a_session_that_may_only_read_is_closed_after_its_error(checked):
    """As after a failover: the server of the connection has become a standby, and goes on answering."""
    before = pid()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(InternalError, match="read-only"):
        Wallet.objects.create(user_id="usr_1")
    connection.close_if_unusable_or_obsolete()  # Django calls it after each request.
    assert Wallet.objects.create(user_id="usr_1")
    assert pid() != before


def test_a_session_that_may_only_read_is_closed_after_its_transaction_was_rolled_back(checked):
    """Django then forgets the error, as of each charge."""
    before = pid()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(InternalError, match="read-only"), transaction.atomic():
        Wallet.objects.create(user_id="usr_1")
    connection.close_if_unusable_or_obsolete()
    assert Wallet.objects.create(user_id="usr_1")
    assert pid() != before


def test_a_session_that_may_only_read_is_closed_after_a_read(checked):
    before = pid()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert Wallet.objects.count() == 0
    connection.close_if_unusable_or_obsolete()
    assert Wallet.objects.create(user_id="usr_1")
    assert pid() != before


def test_a_session_that_may_write_is_kept_after_an_error(checked):
    before = pid()
    with (
        pytest.raises(Exception, match="division by zero"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1 / 0")
    connection.close_if_unusable_or_obsolete()
    assert Wallet.objects.count() == 0
    assert pid() == before


def test_nothing_is_sent_before_the_first_statement_of_a_request(checked):
    with CaptureQueriesContext(connection) as queries:
        Wallet.objects.count()
    assert len(queries) == 1
