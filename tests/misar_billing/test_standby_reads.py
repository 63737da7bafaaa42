"""Reads on a standby (decision 0046): what it answers, and when the primary answers instead.

The views are functions of this test. The servers are real; the primary does not wait for its standby.
"""

import socket
import threading

import pytest
from django.contrib.admin import site
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.utils import ConnectionHandler
from django.test import Client
from django.urls import reverse
from psycopg import errors

from accounts.models import Plan
from foundation import deadlines
from foundation.database import configuration, standby
from foundation.database.standby import ANSWERED, CANCELLED, FAILED, FOREIGN, LATE, SKIPPED, Standby
from tests.deployment import eventually
from tests.factories import StaffFactory, enter
from tests.pooling import CONSOLE, pooling
from tests.replication import ADMINISTRATOR, RUNTIME, Pair

pytestmark = pytest.mark.slow

SOON = 3600.0  # No late read of a test is too late for this bound.


@pytest.fixture(scope="module")
def servers(books):
    """A primary with a standby, whose replay the tests pause."""
    pair = Pair(books)
    try:
        pair.primary.rows("CREATE TABLE notes (word text)")
        pair.primary.rows(f"GRANT ALL ON notes TO {RUNTIME}")
        yield pair
    finally:
        pair.end()


@pytest.fixture
def pair(servers, django_db_blocker, monkeypatch):
    """The servers. The connection of this thread leads to the primary."""
    # On a busy machine, a standby that is in step may be later than usual, and so may its answer.
    monkeypatch.setattr(standby, "PAUSES", (0.01, *[0.2] * 100))
    monkeypatch.setattr(standby, "SECONDS_WITHOUT_A_DEADLINE", 60.0)
    servers.standby.end()
    servers.standby = servers._another()
    servers.standby.follow(servers.primary)
    servers.primary.rows("TRUNCATE notes")
    usual = connections[DEFAULT_DB_ALIAS]
    environment = {"DATABASE_URL": servers.url}
    with django_db_blocker.unblock():
        own = ConnectionHandler({DEFAULT_DB_ALIAS: configuration.configuration(environment)})
        connections[DEFAULT_DB_ALIAS] = own[DEFAULT_DB_ALIAS]
        try:
            yield servers
        finally:
            connections[DEFAULT_DB_ALIAS].close()
            connections[DEFAULT_DB_ALIAS] = usual


@pytest.fixture
def outcomes(monkeypatch):
    """How the reads ended, in their order."""
    noted: list[str] = []
    monkeypatch.setattr(standby, "on_outcome", noted.append)
    return noted


@pytest.fixture
def impatient(monkeypatch):
    """The standby is tried again at once."""
    monkeypatch.setattr(standby, "SECONDS_AFTER_LATE", 0.0)
    monkeypatch.setattr(standby, "SECONDS_AFTER_A_FAILURE", 0.0)


@pytest.fixture
def hasty(monkeypatch):
    """The primary answers soon if the standby is late."""
    monkeypatch.setattr(standby, "PAUSES", (0.01, 0.2, 0.2))


def of(server, *, port: int = 0, lag_seconds_max: float = SOON) -> Standby:
    config = configuration.standby_configuration({"STANDBY_URL": server.url(RUNTIME, port=port)})
    assert config is not None
    return Standby(config, lag_seconds_max=lag_seconds_max)


def value(statement: str):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def port() -> int:
    return value("SELECT inet_server_port()")


def words() -> int:
    return value("SELECT count(*) FROM notes")


def write() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO notes VALUES ('written')")


def in_step(pair) -> None:
    """Wait until the standby has all of the primary."""
    position = pair.primary.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: pair.standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position))


def pause(pair) -> None:
    in_step(pair)
    pair.standby.rows("SELECT pg_wal_replay_pause()")
    eventually(lambda: pair.standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused")


def test_all_reads_of_a_view_are_of_one_server_and_the_next_ones_are_the_primarys(pair, outcomes):
    in_step(pair)

    def view():
        with transaction.atomic():
            return port(), Plan.objects.count(), Plan.objects.using(DEFAULT_DB_ALIAS).db, words()

    reads = of(pair.standby)
    assert reads.answer(view, late=False) == (pair.standby.port, 4, DEFAULT_DB_ALIAS, 0)
    assert port() == pair.primary.port
    assert reads.answer(port, late=True) == pair.standby.port
    assert outcomes == [ANSWERED, ANSWERED]


def test_a_view_within_a_transaction_reads_what_the_transaction_wrote(pair, outcomes):
    with transaction.atomic():
        write()
        assert of(pair.standby).answer(words, late=True) == 1
    assert outcomes == []


def test_no_write_goes_to_the_standby_even_after_its_promotion(pair, outcomes):
    """Its session is read-only, so a server that is promoted between the check and a statement refuses."""
    in_step(pair)
    ports, refusals = [], []

    def view():
        ports.append(port())
        if ports[-1] == pair.standby.port:
            pair.standby.promote()
        try:
            write()
        except Exception as error:
            refusals.append(error.__cause__)
            raise

    reads = of(pair.standby)
    reads.answer(view, late=False)
    assert ports == [pair.standby.port, pair.primary.port]
    assert [type(refusal) for refusal in refusals] == [errors.ReadOnlySqlTransaction]
    assert (pair.standby.value("SELECT count(*) FROM notes"), words()) == (0, 1)
    # It is no standby any more, so it is not tried for some seconds.
    assert reads.answer(port, late=True) == pair.primary.port
    assert reads.answer(port, late=True) == pair.primary.port
    assert outcomes == [CANCELLED, FOREIGN, SKIPPED]


def test_a_current_read_has_all_that_was_acknowledged(pair, outcomes, impatient, hasty):
    reads = of(pair.standby)
    pause(pair)
    write()
    assert reads.answer(words, late=False) == 1
    assert outcomes == [LATE]
    pair.standby.rows("SELECT pg_wal_replay_resume()")
    in_step(pair)
    assert reads.answer(lambda: (port(), words()), late=False) == (pair.standby.port, 1)


def test_own_writes_are_seen_while_the_standby_goes_on(pair, outcomes, impatient, hasty):
    reads = of(pair.standby)
    for count in range(1, 101):
        write()
        assert reads.answer(words, late=False) == count
    assert set(outcomes) <= {ANSWERED, LATE}


def test_a_late_read_is_never_older_than_the_bound(pair, outcomes, impatient, hasty, monkeypatch):
    """Seconds pass as the test says."""
    now = 1000.0
    monkeypatch.setattr(standby.time, "monotonic", lambda: now)
    reads = of(pair.standby, lag_seconds_max=5)
    pause(pair)
    assert reads.answer(words, late=True) == 0
    write()
    for _ in range(5):
        assert reads.answer(lambda: (port(), words()), late=True) == (pair.standby.port, 0)
        now += 1
    assert reads.answer(lambda: (port(), words()), late=True) == (pair.standby.port, 0)
    now += 0.1  # Now the write was acknowledged more than five seconds ago.
    assert reads.answer(words, late=True) == 1
    assert outcomes[-2:] == [ANSWERED, LATE]


def test_a_standby_that_is_cut_off_does_not_answer(pair, outcomes, impatient, hasty):
    """It has replayed all that it received."""
    in_step(pair)
    pair.standby.alter_system("primary_conninfo", "")
    receiving = "SELECT count(*) FROM pg_stat_wal_receiver"
    eventually(lambda: pair.standby.value(receiving) == 0)
    write()
    assert pair.standby.value("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")
    assert of(pair.standby).answer(words, late=False) == 1
    assert of(pair.standby).answer(words, late=True) == 1
    assert outcomes == [LATE, LATE]


def test_the_primary_answers_while_the_standby_is_lost_and_not_after_it_is_back(pair, outcomes, impatient):
    in_step(pair)
    reads = of(pair.standby)
    assert reads.answer(port, late=False) == pair.standby.port
    pair.standby.kill()
    for _ in range(2):  # With the lost session, and with a connection that is refused.
        assert reads.answer(port, late=False) == pair.primary.port
    pair.standby.start()
    in_step(pair)
    assert reads.answer(port, late=False) == pair.standby.port
    assert outcomes == [ANSWERED, FAILED, FAILED, ANSWERED]


def test_a_pooler_before_the_standby_is_not_used(pair, outcomes, books):
    """It drops the option that makes sessions read-only, so a promoted server could be written to."""
    folder = books.place.folder / "pooler of the standby"
    folder.mkdir()
    with pooling(
        folder,
        books.place.account,
        target=f"host=127.0.0.1 port={pair.standby.port}",
        database=configuration.NAME,
        users={RUNTIME: "", CONSOLE: CONSOLE},
        auth_type="trust",
    ) as pooler:
        assert of(pair.standby, port=pooler.port).answer(port, late=False) == pair.primary.port
    assert outcomes == [FAILED]


def test_a_session_that_is_lost_in_a_view_is_not_replaced(pair, outcomes):
    """Another server may be at the address by then, and nothing would have checked it."""
    in_step(pair)
    ports = []

    def view():
        ports.append(port())
        if ports[-1] == pair.standby.port:
            connection.close()
        return words(), port()

    assert of(pair.standby).answer(view, late=True) == (0, pair.primary.port)
    assert outcomes == [FAILED]


def test_a_standby_that_does_not_answer_leaves_time_for_the_primary(pair, outcomes):
    """At first a connection is accepted and nothing is said, later there is no further try."""
    # More than a request has: on a busy machine the primary may be slow.
    with socket.create_server(("127.0.0.1", 0)) as silent, deadlines.within(10 * deadlines.REQUEST_SECONDS):
        reads = of(pair.standby, port=silent.getsockname()[1])
        assert reads.answer(port, late=False) == pair.primary.port
        left = deadlines.seconds_left()
        assert left is not None
        assert left > 0
        assert reads.answer(port, late=False) == pair.primary.port
    assert outcomes == [FAILED, SKIPPED]


def test_a_read_that_conflicts_with_the_replay_is_answered_by_the_primary(pair, outcomes):
    pair.standby.alter_system("max_standby_streaming_delay", "0")
    write()
    in_step(pair)
    answers = []

    def view():
        with transaction.atomic():
            value("SELECT count(*) FROM notes")
            if port() == pair.standby.port:
                # The standby must lock the table exclusively, and this transaction has read it.
                pair.primary.rows("TRUNCATE notes")
                eventually(lambda: pair.standby.value("SELECT count(*) FROM notes") == 0)
            answers.append(port())
            return words()

    assert of(pair.standby).answer(view, late=False) == 0
    assert answers == [pair.primary.port]
    assert outcomes == [CANCELLED]


def test_after_a_failover_the_standby_of_the_old_primary_does_not_answer(pair, outcomes, impatient):
    """Its log may be longer than that of the new primary, so positions alone would say that it has all."""
    old = pair._another()
    old.follow(pair.primary)
    try:
        in_step(pair)
        pair.standby.promote()
        write()  # Still at the old primary.
        pair.primary.rows("SELECT pg_switch_wal()")
        reads, before = of(old), connections[DEFAULT_DB_ALIAS]
        assert reads.answer(words, late=False) == 1
        own = ConnectionHandler(
            {DEFAULT_DB_ALIAS: configuration.configuration({"DATABASE_URL": pair.standby.url(RUNTIME)})}
        )
        connections[DEFAULT_DB_ALIAS] = own[DEFAULT_DB_ALIAS]
        try:
            assert reads.answer(words, late=False) == 0
        finally:
            own[DEFAULT_DB_ALIAS].close()
            connections[DEFAULT_DB_ALIAS] = before
        assert outcomes == [ANSWERED, FOREIGN]
    finally:
        old.end()


def test_threads_have_sessions_of_their_own(pair, outcomes, django_db_blocker):
    in_step(pair)
    reads, primary = of(pair.standby), connections[DEFAULT_DB_ALIAS].settings_dict
    found, both = [], threading.Barrier(2)

    def view():
        both.wait(60)
        return value("SELECT pg_backend_pid()"), port()

    def read():
        own = ConnectionHandler({DEFAULT_DB_ALIAS: primary})
        connections[DEFAULT_DB_ALIAS] = own[DEFAULT_DB_ALIAS]
        found.append(reads.answer(view, late=False))
        own[DEFAULT_DB_ALIAS].close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({pid for pid, _ in found}) == 2
    assert {where for _, where in found} == {pair.standby.port}


PAGES = ("/wallet/statements", "/wallet/statements/2026-10", "/dashboard", "/dashboard/sponsors")
PAGES_OF_THE_PRIMARY = (
    *("/wallet", "/dashboard/keys", "/wallet/history.csv", "/dashboard/tips.csv", "/wallet/receipts"),
    *("/wallet/statements/2026-10.pdf", "/wallet/statements/2026-10.csv"),
)
LISTS_OF_THE_PRIMARY = {"wallet_wallet", "wallet_hold", "wallet_lot"}


def test_no_page_that_the_standby_may_answer_writes(pair, outcomes, monkeypatch):
    """A view that writes would be refused by the standby, and answered by the primary."""
    as_the_owner = ConnectionHandler(
        {DEFAULT_DB_ALIAS: configuration.configuration({"DATABASE_URL": pair.primary.url(ADMINISTRATOR)})}
    )
    reads, client = of(pair.standby), Client()
    monkeypatch.setattr(standby, "_configured", lambda: reads)
    as_the_runtime = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = as_the_owner[DEFAULT_DB_ALIAS]
    member = StaffFactory.create(password="")
    connections[DEFAULT_DB_ALIAS] = as_the_runtime
    as_the_owner[DEFAULT_DB_ALIAS].close()
    enter(client, member)
    client.get("/")  # From now on the metrics count the outcomes; here they are listed.
    monkeypatch.setattr(standby, "on_outcome", outcomes.append)
    in_step(pair)

    def read(path) -> list[str]:
        outcomes.clear()
        assert client.get(path).status_code == 200, path
        return list(outcomes)

    for path in PAGES:
        assert read(path) == [ANSWERED], path
    for path in PAGES_OF_THE_PRIMARY:
        assert read(path) == [], path
    assert read("/admin/") == [ANSWERED]
    lists = [f"{model._meta.app_label}_{model._meta.model_name}" for model in site._registry]
    assert len(lists) > 25
    for name in lists:
        expected = [] if name in LISTS_OF_THE_PRIMARY else [ANSWERED]
        assert read(reverse(f"admin:{name}_changelist")) == expected, name
        assert read(reverse(f"admin:{name}_csv")) == expected, name
