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

import pytest
import requests

from sandbox.environment import free_port
from sandbox.private_postgres import PrivateServer
from tests.environment import ROOT

PATIENCE_SECONDS = 120  # On a busy machine.

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


class Run:
    """A `manage.py quickstart` in its own folder, with an otherwise empty environment."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(free_port()),
        }
        self.server = PrivateServer(data_dir)
        self.log = data_dir.parent / f"{data_dir.name}-{self.port}.log"
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
def running(data_dir: Path) -> Iterator[Run]:
    run = Run(data_dir)
    try:
        run.wait_until_it_welcomes()
        yield run
    finally:
        run.process.terminate()
        run.process.wait()
        if run.server.is_running():
            run.server._stop()


def test_everything_runs_and_a_stop_leaves_no_process_behind(data_dir, subtests):
    with running(data_dir) as run:
        assert requests.get(f"{run.url}/health", timeout=120).json() == {"status": "ok"}
        assert requests.get(f"{run.url}/static/admin/css/base.css", timeout=120).status_code == 200
        sandbox = f"http://127.0.0.1:{run.environ['SANDBOX_PORT']}/health"
        assert requests.get(sandbox, timeout=120).status_code == 200
        children = run.children()
        assert len(children) == 3
        with subtests.test("its curl commands work as printed"):
            its_curl_commands_work(run)
        with subtests.test("a second run on the same data is refused and disturbs nothing"):
            a_second_run_is_refused(run, data_dir)

        run.process.send_signal(signal.SIGTERM)
        assert run.exit_code() == 0, run.output()
        assert not set(children) & set(all_processes())
        assert not run.server.is_running()
        assert "Traceback" not in run.output()


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


def test_other_commands_use_its_database_and_ctrl_c_keeps_the_data(data_dir):
    beside = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir)}
    command = [sys.executable, str(ROOT / "manage.py"), "create_service_key", "--product", "blog"]
    with running(data_dir) as run:
        made = subprocess.run(command, env=beside, capture_output=True, text=True, timeout=120)
        assert made.returncode == 0, made.stderr
        key = {"x-wallet-service-key": made.stdout.splitlines()[-1]}
        run.process.send_signal(signal.SIGINT)
        assert run.exit_code() == 0, run.output()
        assert not run.server.is_running()
    with running(data_dir) as run:
        balance = f"{run.url}/io/wallet/balance?user_id=usr_1"
        assert requests.get(balance, headers=key, timeout=120).json() == {"credits": 0}


def test_a_stop_during_the_start_is_clean(tmp_path):
    run = Run(tmp_path / "var")
    wait_for(run.server.is_running)
    run.process.send_signal(signal.SIGTERM)
    assert run.exit_code() == 0, run.output()
    assert not run.server.is_running()


def test_its_child_processes_end_with_it_even_if_it_is_killed(data_dir):
    with running(data_dir) as run:
        children = run.children()
        run.process.kill()
        run.process.wait()
        wait_for(lambda: not set(children) & set(all_processes()))
        # The database may go on running: the next start uses it, and the next stop ends it.
        again = Run(data_dir)
        again.wait_until_it_welcomes()
        again.process.terminate()
        assert again.exit_code() == 0
        assert not again.server.is_running()


def test_a_child_that_dies_ends_the_run_with_a_sentence(data_dir):
    with running(data_dir) as run:
        os.kill(max(run.children()), signal.SIGKILL)
        assert run.exit_code() == 1
        assert re.search(r"The (web server|sandbox|mail sender) ended by itself", run.output())
        assert not run.server.is_running()


def test_a_busy_port_is_refused_with_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "PORT": port}
        command = [sys.executable, str(ROOT / "manage.py"), "quickstart"]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1
    assert f"127.0.0.1:{port} is not free" in ran.stderr
    assert "Traceback" not in ran.stderr
