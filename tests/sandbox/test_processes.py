"""Waiting for the end of processes, and how much the sandbox works while nothing happens."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.private_postgres import PrivateServer
from sandbox.processes import Processes, ProcessTrouble, wait_for_an_end
from tests.sandbox.conftest import StandIn, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs pidfd_open and /proc")

WAITS = (sys.executable, "-c", "input()")


@pytest.fixture
def child():
    with subprocess.Popen(WAITS, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_the_end_of_a_process_ends_the_wait(child: subprocess.Popen[bytes]):
    assert not wait_for_an_end([os.getpid(), child.pid], 0.1)
    threading.Thread(target=child.kill).start()
    assert wait_for_an_end([os.getpid(), child.pid], None)
    assert wait_for_an_end([child.pid], None)  # It has ended and was not reaped yet.
    child.wait()
    assert wait_for_an_end([os.getpid(), child.pid], None)


def test_without_the_number_of_a_process_the_caller_must_look():
    assert wait_for_an_end([os.getpid(), None], None)


def test_no_descriptor_stays_open(child: subprocess.Popen[bytes]):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        wait_for_an_end([child.pid, os.getpid()], 0)
        wait_for_an_end([child.pid, None], 0)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.slow
def test_postgresql_that_ends_again_and_again_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(processes, "RESTARTS_MAX", 2)
    monkeypatch.setattr(processes, "RESTARTS_SECONDS", 3600)
    server = PrivateServer(tmp_path)
    said: list[str] = []

    def kill_when_running(sentence: str) -> None:
        said.append(sentence)
        if "is running again" in sentence:
            kill()

    def kill() -> None:
        pid = server.pid()
        assert pid is not None
        os.kill(pid, 9)

    with server.lease(create=True), Processes(server, kill_when_running) as watched:
        kill()
        with pytest.raises(ProcessTrouble, match="PostgreSQL ended 3 times in 3600 seconds"):
            watched.watch()
    assert (
        said
        == ["PostgreSQL has ended. Starting it again.", "PostgreSQL is running again, with its data."] * 2
    )


def processor_seconds(pid: int) -> float:
    """What all threads of a process have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_an_idle_sandbox_waits(start_another: Callable[..., StandIn]):
    """It used 2.4 seconds of 100 when it looked into its file ten times a second."""
    stand_in = start_another()
    stand_in.new_session()  # It expires in an hour; until then, nothing is due.

    def waits() -> bool:
        began, used = time.monotonic(), processor_seconds(stand_in.process.pid)
        time.sleep(15)
        used = processor_seconds(stand_in.process.pid) - used
        return used < 0.01 * (time.monotonic() - began)

    wait_until(waits)  # It may still finish what it has begun.
