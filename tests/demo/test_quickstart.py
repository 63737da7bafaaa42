"""`make run` with real processes and real ports, stopped in every possible way."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests

from foundation.database.configuration import NAME
from sandbox.environment import free_port
from sandbox.private_postgres import PrivateServer
from tests.environment import ROOT

PATIENCE_SECONDS = 1800  # On a very busy machine all migrations together took more than 600.
PROCESSES = 5  # The sandbox, the web server, the mail sender, the tidier and the sealer.
# For runs that are about another process. Each worker loads the whole service.
ONE_WORKER = {"WEB_WORKERS": "1"}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


class Run:
    """A `manage.py quickstart` in its own folder, with an otherwise empty environment."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(free_port()),
            **settings,
        }
        self.server = PrivateServer(data_dir)
        # A port may come again, and its log of another run would then say too early that this one is ready.
        self.log = data_dir.parent / f"{data_dir.name}-{uuid4().hex}.log"
        self.process = self.manage("quickstart")

    def manage(self, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self.log, "ab") as log:
            command = [sys.executable, str(ROOT / "manage.py"), *arguments]
            return subprocess.Popen(command, env=self.environ, stdout=log, stderr=subprocess.STDOUT, cwd="/")

    def output(self) -> str:
        return self.log.read_text()

    def wait_until_it_welcomes(self) -> None:
        wait_for(lambda: "is running" in self.output() or self.process.poll() is not None, self.output)
        assert self.process.poll() is None, self.output()

    def children(self) -> list[int]:
        return [pid for pid, parent in all_processes().items() if parent == self.process.pid]

    def postmaster(self) -> int:
        pid = self.server.pid()
        assert pid is not None
        return pid

    def is_healthy(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=120).ok
        except requests.ConnectionError:
            return False

    def exit_code(self) -> int:
        return self.process.wait(timeout=PATIENCE_SECONDS)


def all_processes() -> dict[int, int]:
    """Every living process, and its parent."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(") ", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    return parents


def wait_for(condition: Callable[[], bool], explanation: Callable[[], object] = lambda: "") -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at, explanation()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here, so the year of data is made only once."""
    return tmp_path_factory.mktemp("quickstart") / "var"


@contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Run]:
    run = Run(data_dir, **settings)
    try:
        run.wait_until_it_welcomes()
        yield run
    finally:
        run.process.terminate()
        run.process.wait()
        if run.server.is_running():
            run.server._stop()


def test_it_runs_through_every_end_of_postgresql_and_each_stop_keeps_its_data(data_dir, subtests):
    """Three runs on the same data, since each start takes seconds."""
    with running(data_dir) as run:
        everything_answers(run)
        with subtests.test("its curl commands work as printed"):
            its_curl_commands_work(run)
        with subtests.test("a second run on the same data is refused and disturbs nothing"):
            a_second_run_is_refused(run, data_dir)
        key = key_made_by_another_command(data_dir)
        assert "Traceback" not in run.output()
        postgresql_recovers_from_the_end_of_one_of_its_processes(run)
        postgresql_that_a_user_stopped_is_started_again(run)
        a_killed_postgresql_is_started_again_with_its_data(run)
        a_stop_leaves_no_process_behind(run, signal.SIGINT)
    # Variables of PostgreSQL do not lead to another server. Otherwise the private server's name could be that
    # of a production database elsewhere.
    with no_visitors() as port, running(data_dir, **variables_of_postgresql(port)) as run:
        assert balance_in(run, key) == 0
        its_children_end_with_it_even_if_it_is_killed(run)
        # Its database may go on running: the next run uses it, and ends it.
        with running(data_dir, **ONE_WORKER) as again:
            assert balance_in(again, key) == 0
            a_stop_leaves_no_process_behind(again, signal.SIGTERM)
            assert "Traceback" not in again.output()


def everything_answers(run):
    assert requests.get(f"{run.url}/health", timeout=120).json() == {"status": "ok"}
    assert requests.get(f"{run.url}/static/admin/css/base.css", timeout=120).status_code == 200
    sandbox = f"http://127.0.0.1:{run.environ['SANDBOX_PORT']}/health"
    assert requests.get(sandbox, timeout=120).status_code == 200
    assert len(run.children()) == PROCESSES


def its_curl_commands_work(run):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    lines = run.output().replace("\\\n", " ").splitlines()
    commands = [line for line in lines if line.strip().startswith("curl ")]
    assert len(commands) == 5
    for command in commands:
        shown = subprocess.run(
            ["sh", "-c", f"{command} --fail-with-body -sS"], capture_output=True, text=True
        )
        assert shown.returncode == 0, f"{command}\n{shown.stdout}{shown.stderr}"


def a_second_run_is_refused(run, data_dir):
    remembered = (data_dir / "sandbox.env").read_text()
    second = run.manage("quickstart")
    assert second.wait(timeout=PATIENCE_SECONDS) == 2
    assert "already running" in run.output()
    assert (data_dir / "sandbox.env").read_text() == remembered
    assert requests.get(f"{run.url}/health", timeout=120).status_code == 200


def key_made_by_another_command(data_dir):
    """A command that runs beside the service uses its database."""
    beside = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir)}
    command = [sys.executable, str(ROOT / "manage.py"), "create_service_key", "--product", "blog"]
    made = subprocess.run(command, env=beside, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()[-1]


def balance_in(run, key):
    headers = {"x-wallet-service-key": key}
    balance = requests.get(f"{run.url}/io/wallet/balance?user_id=usr_1", headers=headers, timeout=120)
    return balance.json()["credits"]


def postgresql_recovers_from_the_end_of_one_of_its_processes(run):
    postmaster = run.postmaster()
    parts = [pid for pid, parent in all_processes().items() if parent == postmaster]
    os.kill(min(parts), signal.SIGKILL)
    wait_for(lambda: not set(parts) & set(all_processes()))
    wait_for(run.is_healthy, run.output)
    assert run.postmaster() == postmaster
    assert "PostgreSQL has ended" not in run.output()


def postgresql_that_a_user_stopped_is_started_again(run):
    os.kill(run.postmaster(), signal.SIGINT)  # As `pg_ctl stop` does.
    wait_for(lambda: "PostgreSQL is running again" in run.output(), run.output)
    wait_for(run.is_healthy, run.output)


def a_killed_postgresql_is_started_again_with_its_data(run):
    children, so_far = run.children(), run.output().count("PostgreSQL is running again")
    for times in (1, 2):
        os.kill(run.postmaster(), signal.SIGKILL)
        wait_for(
            lambda: run.output().count("PostgreSQL is running again") == so_far + times,  # noqa: B023
            run.output,
        )
        wait_for(run.is_healthy, run.output)
    assert run.output().count("PostgreSQL has ended. Starting it again.") == so_far + 2
    [balance] = [line for line in run.output().splitlines() if "/io/wallet/balance" in line]
    shown = subprocess.run(["sh", "-c", f"{balance} --fail -sS"], capture_output=True, text=True)
    assert '"credits"' in shown.stdout, shown.stderr
    assert run.children() == children


def a_stop_leaves_no_process_behind(run, stop):
    children = run.children()
    assert len(children) == PROCESSES
    run.process.send_signal(stop)
    assert run.exit_code() == 0, run.output()
    assert not set(children) & set(all_processes())
    assert not run.server.is_running()


def its_children_end_with_it_even_if_it_is_killed(run):
    children = run.children()
    assert len(children) == PROCESSES
    run.process.kill()
    run.process.wait()
    wait_for(lambda: not set(children) & set(all_processes()))


def variables_of_postgresql(port):
    return {"PGHOSTADDR": "127.0.0.1", "PGPORT": port, "PGSERVICE": "none"}


@contextmanager
def no_visitors():
    """The port of a server that must get no connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield str(server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_stop_during_the_start_is_clean(tmp_path):
    run = Run(tmp_path / "var")
    wait_for(run.server.is_running)
    run.process.send_signal(signal.SIGTERM)
    assert run.exit_code() == 0, run.output()
    assert not run.server.is_running()


def test_a_child_that_dies_ends_the_run_with_a_sentence(data_dir):
    with running(data_dir, **ONE_WORKER) as run:
        os.kill(max(run.children()), signal.SIGKILL)
        assert run.exit_code() == 1
        assert re.search(r"The (web server|sandbox|mail sender|tidier|sealer) ended by itself", run.output())
        assert not run.server.is_running()


# --- PostgreSQL ends ----------------------------------------------------------------------------------


def test_without_its_data_postgresql_is_not_started_and_the_run_ends(data_dir):
    with running(data_dir, **ONE_WORKER) as run:
        children, postmaster = run.children(), run.postmaster()
        data = run.server._place() / "data"
        moved = data.rename(data.with_name("moved"))
        os.kill(postmaster, signal.SIGKILL)
        assert run.exit_code() == 1
        assert (
            f"PostgreSQL cannot be started again. Its data is gone from {run.server._place()}."
            in run.output()
        )
        assert "Traceback" not in run.output()
        assert not {*children, postmaster} & set(all_processes())
        moved.rename(data)  # Fails if a new, empty database was made, which would hide what happened.


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, None])
def test_a_restart_that_fails_ends_the_run_as_a_signal_does(data_dir, stop):
    with running(data_dir, **ONE_WORKER) as run:
        children, postmaster = run.children(), run.postmaster()
        # A process of the old server that goes on: PostgreSQL does not start while it has the shared memory.
        orphan = min(pid for pid, parent in all_processes().items() if parent == postmaster)
        os.kill(orphan, signal.SIGSTOP)
        try:
            os.kill(postmaster, signal.SIGKILL)
            wait_for(lambda: "PostgreSQL has ended. Starting it again." in run.output(), run.output)
            if stop:
                run.process.send_signal(stop)
            assert run.exit_code() == (0 if stop else 1), run.output()
        finally:
            os.kill(orphan, signal.SIGCONT)
        assert ("PostgreSQL cannot be started again. PostgreSQL did not start." in run.output()) is not bool(
            stop
        )
        assert "Traceback" not in run.output()
        wait_for(lambda: not {*children, postmaster, orphan} & set(all_processes()))
        assert not run.server.is_running()


def test_a_database_that_ends_while_data_is_written_is_a_sentence(tmp_path):
    run = Run(tmp_path / "var")

    def is_migrating() -> bool:
        if not run.server.is_running():
            return False
        with psycopg.connect(host=str(run.server.socket_directory), user=NAME, dbname=NAME) as db:
            return db.execute("SELECT to_regclass('wallet_wallet') IS NOT NULL").fetchone() == (True,)

    wait_for(is_migrating)
    os.kill(run.postmaster(), signal.SIGKILL)
    assert run.exit_code() == 1
    assert "cannot be used" in run.output()
    assert "Traceback" not in run.output()


# --- A database of the user's choice ------------------------------------------------------------------


@pytest.fixture
def chosen(tmp_path) -> Iterator[Callable[[str], str]]:
    """Makes databases on a server that stands for the user's; returns the DATABASE_URL of each."""
    server = PrivateServer(tmp_path / "chosen")
    with server.lease(create=True):

        def create(name: str) -> str:
            with psycopg.connect(
                host=str(server.socket_directory), user=NAME, dbname=NAME, autocommit=True
            ) as db:
                db.execute(f"CREATE DATABASE {name}")
            return f"postgres://{NAME}:hunter2@/{name}?host={server.socket_directory}"

        yield create


def manage(url: str, data_dir: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "DATABASE_URL": url, **environ}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def contents_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with psycopg.connect(url) as db:
        found = db.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {name: db.execute(f"SELECT t::text FROM {name} t ORDER BY 1").fetchall() for (name,) in found}


def test_real_data_is_refused_and_not_changed(tmp_path, chosen, subtests):
    url, data_dir = chosen("billing"), tmp_path / "var"
    of_a_deployment = {"ENVIRONMENT": "sandbox", "SECRET_KEY": "s" * 50}
    assert manage(url, data_dir, "migrate", **of_a_deployment).returncode == 0
    of_the_user = {"DJANGO_SUPERUSER_PASSWORD": "correct horse battery", **of_a_deployment}
    made = manage(url, data_dir, "createsuperuser", "--noinput", "--misar_id", "staff:ada", **of_the_user)
    assert made.returncode == 0, made.stderr
    before = contents_of(url)
    for number in (1, 2):
        with subtests.test(f"start {number}"):
            ran = manage(url, data_dir, "quickstart", PORT=str(free_port()), SANDBOX_PORT=str(free_port()))
            assert ran.returncode == 2
            assert ran.stdout == ""
            assert ran.stderr.startswith("billing at ")
            assert "holds data (public.accounts_user has rows)" in ran.stderr
            assert ran.stderr.count("\n") == 1
            assert "hunter2" not in ran.stderr
            assert contents_of(url) == before
    with subtests.test("the refused database does not get the sandbox's settings"):
        ran = manage(url, data_dir, "check_ledger")
        assert ran.returncode == 2
        assert ran.stderr.startswith("Production cannot start")
    with subtests.test("help writes nothing"):
        assert manage(url, data_dir, "quickstart", "--help").returncode == 0
        assert contents_of(url) == before


def test_an_empty_database_becomes_a_sandbox_and_stays_one(tmp_path, chosen):
    url = chosen("mine")
    with running(tmp_path / "var", DATABASE_URL=url, **ONE_WORKER) as run:
        assert run.is_healthy()
        with_other_data_dir = manage(
            url, tmp_path / "other", "quickstart", PORT=str(free_port()), SANDBOX_PORT=str(free_port())
        )
        assert with_other_data_dir.returncode == 2
        assert with_other_data_dir.stderr.startswith("A sandbox is already running on mine at ")
    before = contents_of(url)["monetization_tip"]
    with running(tmp_path / "var", DATABASE_URL=url, **ONE_WORKER) as run:
        assert run.is_healthy()
    assert contents_of(url)["monetization_tip"] == before != []


# --- Ports --------------------------------------------------------------------------------------------


def test_a_busy_port_is_refused_with_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "PORT": port}
        command = [sys.executable, str(ROOT / "manage.py"), "quickstart"]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1
    assert f"127.0.0.1:{port} is not free" in ran.stderr
    assert "Traceback" not in ran.stderr
