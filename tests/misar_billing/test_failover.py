"""The service while its primary fails, can't write or loses its standby (docs/database.md, A standby)."""

import time
from statistics import median

import psycopg
import pytest

from foundation.database import configuration
from tests.callers import calling
from tests.deployment import Deployment, eventually
from tests.replication import OPERATOR, RUNTIME, Pair, manage

pytestmark = pytest.mark.slow

THREADS = 16  # Two workers of eight.
# Two seconds and three, and more on a busy machine.
RESUME_SECONDS_MAX = 8
ANSWER_SECONDS_MAX = 6


@pytest.fixture(scope="module")
def served(books, tmp_path_factory):
    """A pair of servers, and the service on the address of their primary."""
    pair = Pair(books)
    deployment = Deployment(tmp_path_factory.mktemp("failover"))
    deployment.service_key = books.service_key
    # Production's limits: callers retry, so a limit that a busy machine reaches is no failure.
    deployment.environment |= {"DATABASE_URL": pair.url, "WEB_THREADS": "8", "LIMITS_TIMES": "1"}
    try:
        with deployment.serving():
            yield pair, deployment
        assert "Every law holds" in manage(pair.primary.url(OPERATOR), "check_ledger")
    finally:
        pair.end()


@pytest.fixture
def pair(served):
    """A primary and a standby in step."""
    pair, _ = served
    pair.standby.end()
    pair.get_in_step()
    return pair


@pytest.fixture
def callers(served, pair, request):
    """A caller for each thread of the service. All of them have been acknowledged."""
    _, deployment = served
    with calling(deployment, THREADS, prefix=request.node.name) as callers:
        eventually(lambda: callers.have_each(since=0))
        yield callers
    # The books have each acknowledged charge once, and no other, since no caller has given one up.
    written = (
        "SELECT wallet_id, idempotency_key FROM wallet_entry WHERE kind = 'deduct' AND wallet_id LIKE %s"
    )
    assert sorted(pair.primary.rows(written, f"{request.node.name}_%")) == callers.acknowledged()


def all_are_refused(callers):
    since = time.monotonic()
    eventually(lambda: callers.have_each(since=since, acknowledged=False))


def all_resume(callers):
    """Wait until each caller is acknowledged again, and check that this is soon."""
    since = time.monotonic()
    eventually(lambda: callers.have_each(since=since))
    assert callers.seconds_to_resume(since) < RESUME_SECONDS_MAX
    # The first request that notices a session that can't write closes it.
    refused = [answer for answer in callers.answers(since) if not answer.is_acknowledged]
    assert len(refused) <= THREADS * 2


def test_a_promoted_standby_has_everything_that_was_acknowledged(pair, callers):
    pair.primary.kill()
    # The address moves first, so that new connections lead to a server that can't write yet.
    pair.address.move_to(pair.standby)
    all_are_refused(callers)
    pair.promote()
    all_resume(callers)


def test_every_thread_writes_again_when_its_primary_does(pair, callers):
    """The sessions stay open meanwhile."""
    pair.primary.alter_system("default_transaction_read_only", "on")
    all_are_refused(callers)
    pair.primary.alter_system("default_transaction_read_only", "off")
    all_resume(callers)


def test_no_thread_stays_with_a_server_that_was_demoted(pair, callers):
    """Another server is promoted, and the sessions of the first stay open."""
    demoted = pair.primary
    demoted.alter_system("default_transaction_read_only", "on")
    all_are_refused(callers)
    writing = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND backend_xid IS NOT NULL"
    eventually(lambda: demoted.value(writing, RUNTIME) == 0)
    written = demoted.value("SELECT pg_current_wal_lsn()")
    eventually(lambda: pair.standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", written))
    pair.promote()
    pair.address.move_to(pair.primary)
    all_resume(callers)


def test_without_its_standby_charges_are_refused_in_time_and_made_once(pair, callers):
    lost_at = time.monotonic()
    pair.standby.kill()
    all_are_refused(callers)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'SyncRep'"
    # The server goes on waiting for the standby with the sessions that the service has given up.
    assert pair.primary.value(waiting, RUNTIME) > 0
    refused = [answer for answer in callers.answers(lost_at) if not answer.is_acknowledged]
    assert {answer.status for answer in refused} == {503}
    assert median(answer.seconds for answer in refused) < ANSWER_SECONDS_MAX
    pair.primary.alter_system("synchronous_standby_names", "")
    all_resume(callers)
    eventually(lambda: pair.primary.value(waiting, RUNTIME) == 0)


def test_of_two_addresses_the_one_that_can_write_is_used(pair):
    hosts = f"127.0.0.1:{pair.standby.port},127.0.0.1:{pair.primary.port}"
    url = f"postgres://{RUNTIME}@{hosts}/{configuration.NAME}?target_session_attrs=read-write"
    used = configuration.configuration({"DATABASE_URL": url})
    with psycopg.connect(
        host=used["HOST"], port=used["PORT"], user=used["USER"], dbname=used["NAME"], **used["OPTIONS"]
    ) as connection:
        assert connection.info.port == pair.primary.port
