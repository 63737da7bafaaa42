"""The service behind PgBouncer in transaction mode (docs/database.md, PgBouncer).

Two sessions of PostgreSQL are shared by eight threads of the service. PgBouncer has the settings of
deploy/pgbouncer.ini.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from django.db import connections

from foundation.database import configuration
from foundation.database.engine import base, sessions
from tests.callers import calling, top_up
from tests.deployment import Deployment, eventually
from tests.environment import ROOT
from tests.pooling import CONSOLE, pooling, program
from tests.replication import OPERATOR, RUNTIME, Pair, manage

pytestmark = pytest.mark.slow

SESSIONS, THREADS = 2, 8
PASSWORD = "of the runtime role"
CHARGE = {"feature": "mail.send"}
# What PgBouncer itself sets for the client that gets a session.
TRACKED = {"application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone"}
OURS = "usename = %s AND backend_type = 'client backend'"


@pytest.fixture(scope="module")
def served(books, tmp_path_factory):
    """A primary, PgBouncer in front of it, and the service behind PgBouncer."""
    program()
    pair = Pair(books)
    folder = books.place.folder / "pooler"
    folder.mkdir()
    deployment = Deployment(tmp_path_factory.mktemp("pooler"))
    deployment.service_key = books.service_key
    with ExitStack() as stack:
        stack.callback(pair.end)
        # As an operator does it: PgBouncer gets the verifier of the password, and never the password.
        pair.primary.rows(f"ALTER ROLE {RUNTIME} PASSWORD '{PASSWORD}'")
        [[verifier]] = pair.primary.rows("SELECT rolpassword FROM pg_authid WHERE rolname = %s", RUNTIME)
        require_the_password(pair.primary)
        pooler = stack.enter_context(
            pooling(
                folder,
                books.place.account,
                target=f"host=127.0.0.1 port={pair.address.port}",
                database=configuration.NAME,
                users={RUNTIME: verifier, CONSOLE: CONSOLE},
                default_pool_size=SESSIONS,
            )
        )
        url = pooler.url(f"{RUNTIME}:{PASSWORD.replace(' ', '%20')}", configuration.NAME)
        deployment.environment |= {"DATABASE_URL": url, "WEB_THREADS": "4", "LIMITS_TIMES": "1"}
        stack.enter_context(deployment.serving())
        yield pair, pooler, deployment, url
        assert "Every law holds" in manage(pair.primary.url(OPERATOR), "check_ledger")


def require_the_password(server):
    """Let the runtime role in only with its password."""
    rules = server.data / "pg_hba.conf"
    rules.write_text(f"host all {RUNTIME} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    server.rows("SELECT pg_reload_conf()")


@pytest.fixture
def server(served):
    pair, *_ = served
    return pair.primary


@pytest.fixture
def deployment(served):
    return served[2]


@pytest.fixture
def url(served):
    return served[3]


@contextmanager
def engine(url):
    """A connection of the service."""
    chosen = connections.settings["default"] | configuration.configuration({"DATABASE_URL": url})
    database = base.DatabaseWrapper(chosen, "pooled")
    try:
        yield database
    finally:
        database.close()


def post(deployment, path, **body):
    """Send a request until it is answered with another status than 503."""
    answers = []

    def is_answered():
        answers.append(deployment.post(path, body))
        return answers[-1].status_code != 503

    eventually(is_answered)
    assert answers[-1].status_code in (200, 201), answers[-1].text
    return answers[-1].json()


def at_once(calls):
    with ThreadPoolExecutor(THREADS * 2) as threads:
        return list(threads.map(lambda call: call(), calls))


@contextmanager
def every_session(url):
    """A transaction in each session of the pool at the same time."""
    with ExitStack() as stack:
        found = [stack.enter_context(psycopg.connect(url)) for _ in range(SESSIONS)]
        for each in found:
            each.execute("SELECT 1")
        yield found
        for each in found:
            each.rollback()


# --- Charges ----------------------------------------------------------------------------------------


def test_of_many_charges_with_keys_each_is_made_once(served, server, deployment):
    _, pooler, *_ = served
    users = [f"each_{number}" for number in range(4)]
    for user in users:
        top_up(deployment, user)
    calls = [
        lambda user=user, key=key: post(
            deployment, "/io/wallet/deduct", user_id=user, idempotency_key=f"{user}:{key}", **CHARGE
        )
        for key in range(12)
        for user in users
        for _ in range(2)  # Each is sent twice at the same time.
    ]
    answers = at_once(calls)
    assert all(answer["allowed"] for answer in answers)
    made = "SELECT count(*), count(DISTINCT idempotency_key) FROM wallet_entry WHERE wallet_id LIKE %s"
    assert server.rows(f"{made} AND kind = 'deduct'", "each_%") == [(48, 48)]
    assert server.value(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}", RUNTIME) <= SESSIONS
    assert len([row for row in pooler.console("SHOW CLIENTS") if row["user"] == RUNTIME]) > SESSIONS


def test_the_last_credits_of_a_wallet_are_charged_once(server, deployment):
    top_up(deployment, "last")
    first = post(deployment, "/io/wallet/deduct", user_id="last", idempotency_key="first", **CHARGE)
    left = 10
    post(
        deployment,
        "/io/wallet/deduct",
        user_id="last",
        idempotency_key="most",
        count=first["balanceAfter"] - left,
        **CHARGE,
    )
    calls = [
        lambda number=number: post(
            deployment, "/io/wallet/deduct", user_id="last", idempotency_key=f"race:{number}", **CHARGE
        )
        for number in range(THREADS * 4)
    ]
    allowed = [answer["allowed"] for answer in at_once(calls)]
    assert allowed.count(True) == left
    assert server.value("SELECT balance FROM wallet_wallet WHERE user_id = 'last'") == 0


def test_holds_and_batches_share_the_sessions(server, deployment):
    top_up(deployment, "mixed")
    balance = server.value("SELECT balance FROM wallet_wallet WHERE user_id = 'mixed'")

    def hold(number):
        key = f"hold:{number}"
        made = post(deployment, "/io/wallet/holds", user_id="mixed", idempotency_key=key, count=2, **CHARGE)
        path = f"/io/wallet/holds/{made['holdId']}/{'capture' if number % 2 else 'void'}"
        return post(deployment, path, user_id="mixed")

    def batch(number):
        items = [
            {"user_id": "mixed", "idempotency_key": f"item:{number}:{each}", **CHARGE} for each in range(5)
        ]
        return post(deployment, "/io/wallet/deduct/batch", items=items)

    at_once([lambda number=number: (hold(number), batch(number)) for number in range(8)])
    at_once([lambda number=number: batch(number) for number in range(8)])  # Again, with the same keys.
    spent = server.value("SELECT sum(-credits) FROM wallet_entry WHERE wallet_id = 'mixed' AND credits < 0")
    assert spent == 8 * 5 + 4 * 2
    assert server.rows("SELECT balance, held FROM wallet_wallet WHERE user_id = 'mixed'") == [
        (balance - spent, 0)
    ]


# --- Sessions ---------------------------------------------------------------------------------------


def test_each_session_has_the_limits_and_nothing_of_another_client(served, url, deployment):
    top_up(deployment, "left")
    post(deployment, "/io/wallet/deduct", user_id="left", idempotency_key="1", **CHARGE)
    limits = configuration.limits_ms()
    with every_session(url) as found:
        for session in found:
            present = session.execute(
                "SELECT name, setting, source FROM pg_settings WHERE name = ANY (%s) OR source = 'session'",
                [list(limits)],
            ).fetchall()
            assert {name: int(setting) for name, setting, _ in present if name in limits} == limits
            assert {name for name, _, source in present if source == "session"} <= TRACKED
            for left in (
                "SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE 'PGBOUNCER%'",
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
                "SELECT count(*) FROM pg_cursors",
                "SELECT count(*) FROM pg_class WHERE relpersistence = 't'",
            ):
                assert session.execute(left).fetchone() == (0,), left


def test_a_statement_and_a_wait_for_a_lock_end_in_time(server, url, deployment, django_db_blocker):
    top_up(deployment, "locked")
    with django_db_blocker.unblock(), engine(url) as database:
        assert database.is_pooled
        with pytest.raises(Exception, match="statement timeout"), database.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        with psycopg.connect(server.url("postgres")) as other:
            other.execute("SELECT FROM wallet_wallet WHERE user_id = 'locked' FOR UPDATE")
            with pytest.raises(Exception, match="lock timeout"), database.cursor() as cursor:
                cursor.execute("SELECT FROM wallet_wallet WHERE user_id = 'locked' FOR UPDATE")


def test_a_session_without_limits_is_refused(served, server, url, deployment, django_db_blocker):
    _, pooler, *_ = served
    name = configuration.NAME
    server.rows(f"ALTER ROLE {RUNTIME} IN DATABASE {name} RESET lock_timeout")
    pooler.console("RECONNECT")
    try:
        with django_db_blocker.unblock(), engine(url) as database:
            with pytest.raises(Exception, match="no limit of their own: lock_timeout"):
                database.ensure_connection()
            assert database.connection is None
        eventually(lambda: not deployment.is_healthy())
    finally:
        server.rows(
            f"ALTER ROLE {RUNTIME} IN DATABASE {name} SET lock_timeout = {configuration.LOCK_TIMEOUT_MS}"
        )
        pooler.console("RECONNECT")
    eventually(deployment.is_healthy)


def test_a_command_that_needs_its_own_session_says_so(url, django_db_blocker):
    done = subprocess.run(
        [sys.executable, "manage.py", "check_ledger"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 2
    assert "This command needs a session of its own" in done.stderr
    with django_db_blocker.unblock(), engine(url) as database:
        with pytest.raises(sessions.NeedsOwnSession, match="leads through a pooler"):
            database.require_own_session("Background work")


def test_rows_are_read_in_portions_only_in_a_transaction(url, django_db_blocker):
    with django_db_blocker.unblock(), engine(url) as database:
        with database.chunked_cursor() as cursor:
            cursor.execute("SELECT generate_series(1, 3)")
            assert len(cursor.fetchall()) == 3
            assert not isinstance(cursor.cursor, psycopg.ServerCursor)


def test_statements_are_prepared_if_the_pooler_keeps_them(served, url, django_db_blocker):
    _, pooler, *_ = served
    keeps = [row["value"] for row in pooler.console("SHOW CONFIG") if row["key"] == "max_prepared_statements"]
    with django_db_blocker.unblock(), engine(url) as database:
        assert database.is_pooled
        assert database.connection.keeps_statements == (keeps not in ([], ["0"]))


def test_a_connection_to_postgresql_itself_is_not_taken_for_a_pooler(served, server, django_db_blocker):
    pair, *_ = served
    direct = server.url(RUNTIME, port=pair.address.port).replace("@", f":{PASSWORD.replace(' ', '%20')}@")
    with django_db_blocker.unblock(), engine(direct) as database:
        assert not database.is_pooled  # Although it leads through a proxy of bytes.
        assert database.connection.keeps_statements


# --- Requests that were given up ----------------------------------------------------------------------


def test_a_client_that_leaves_ends_its_statement_and_its_locks(server, url, deployment):
    top_up(deployment, "gone")
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND wait_event_type = 'Lock'"
    with psycopg.connect(server.url("postgres")) as other:
        other.execute("SELECT FROM wallet_wallet WHERE user_id = 'gone' FOR UPDATE")
        with psycopg.connect(url) as leaving:
            leaving.execute("SET LOCAL statement_timeout = 0")
            leaving.execute("SET LOCAL lock_timeout = 0")
            leaving.pgconn.send_query(
                b"UPDATE wallet_wallet SET frozen = true WHERE user_id = 'gone'; COMMIT"
            )
            eventually(lambda: server.value(waiting, RUNTIME) == 1)
            leaving.pgconn.finish()
            eventually(lambda: server.value(waiting, RUNTIME) == 0)
    assert server.value("SELECT frozen FROM wallet_wallet WHERE user_id = 'gone'") is False


def has_an_answer(session):
    """Whether the server has answered, or ended, a session that waits."""
    try:
        session.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return not session.pgconn.is_busy()


def test_what_waits_too_long_for_a_session_never_reaches_postgresql(served, server, url, deployment):
    _, pooler, *_ = served
    top_up(deployment, "late")

    def waiting():
        return [row for row in pooler.console("SHOW CLIENTS") if row["state"] == "waiting"]

    with psycopg.connect(url, autocommit=True) as late:
        late.execute("SELECT 1")
        with every_session(url):
            late.pgconn.send_query(b"UPDATE wallet_wallet SET frozen = true WHERE user_id = 'late'")
            late.pgconn.flush()
            # On a busy machine, PgBouncer may have ended its wait before it is seen.
            eventually(lambda: waiting() or has_an_answer(late))
            late.pgconn.finish()
            eventually(lambda: not waiting())
    assert server.value("SELECT frozen FROM wallet_wallet WHERE user_id = 'late'") is False


# --- A failover -------------------------------------------------------------------------------------


def test_no_session_stays_with_a_server_that_was_demoted(served, deployment):
    """Another server is promoted, and PgBouncer's sessions with the first one stay open."""
    pair, *_ = served
    pair.get_in_step()
    with calling(deployment, THREADS, prefix="moved") as callers:
        eventually(lambda: callers.have_each(since=0))
        demoted = pair.primary
        demoted.alter_system("default_transaction_read_only", "on")
        writing = f"SELECT count(*) FROM pg_stat_activity WHERE {OURS} AND backend_xid IS NOT NULL"
        eventually(lambda: demoted.value(writing, RUNTIME) == 0)
        written = demoted.value("SELECT pg_current_wal_lsn()")
        eventually(lambda: pair.standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", written))
        pair.promote()
        pair.address.move_to(pair.primary)
        began = len(callers.acknowledged())
        eventually(lambda: len(callers.acknowledged()) > began + 5 * THREADS)
    made = "SELECT wallet_id, idempotency_key FROM wallet_entry WHERE kind = 'deduct' AND wallet_id LIKE %s"
    assert sorted(pair.primary.rows(made, "moved_%")) == callers.acknowledged()
    # Nothing of the service is left at the first server.
    eventually(lambda: demoted.value(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}", RUNTIME) == 0)
