"""The folder in which workers count, and what is kept of a worker that has ended."""

import fcntl
import os
import subprocess
import sys

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from misar_billing.metrics import processes

WORKER = """
from prometheus_client import Counter, Gauge
Counter("misar_tries", "Tries.", ["way"]).labels("one").inc(3)
Gauge("misar_now", "Now.", multiprocess_mode="livesum").inc()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "IN_MEMORY", tmp_path)
    monkeypatch.setenv(processes.VARIABLE, "")
    processes.prepare()
    yield processes.directory()
    assert processes._held is not None
    os.close(processes._held)


def worker() -> int:
    """A worker that counts three and ends as if it was killed: without tidying up."""
    with subprocess.Popen([sys.executable, "-c", WORKER], env=os.environ) as process:
        assert process.wait(timeout=120) == 0
    return process.pid


def counts(folder) -> dict[str, float]:
    return {
        sample.name: sample.value
        for metric in MultiProcessCollector(None, str(folder)).collect()
        for sample in metric.samples
    }


def test_counts_of_ended_workers_stay_and_files_do_not_pile_up(folder):
    pids = [worker(), worker()]
    assert counts(folder) == {"misar_tries_total": 6, "misar_now": 2}
    files = len(list(folder.glob("*.db")))
    for pid in pids:
        processes.forget(pid)
    assert counts(folder) == {"misar_tries_total": 6}
    assert len(list(folder.glob("*.db"))) == files - 3
    processes.forget(12345678)  # One that has counted nothing.
    assert counts(folder) == {"misar_tries_total": 6}


def test_the_master_never_waits_for_a_reader(folder):
    pid = worker()
    with processes.alone(folder, wait=True):
        processes.forget(pid)
        assert counts(folder) == {"misar_tries_total": 3}
    assert (folder / f"counter_{pid}.db").exists()


def test_a_folder_of_a_killed_master_is_removed_and_one_in_use_is_not(folder, tmp_path):
    left = tmp_path / f"{processes.PREFIX}left"
    left.mkdir()
    (left / processes.LOCK).touch()
    used = tmp_path / f"{processes.PREFIX}used"
    used.mkdir()
    with open(used / processes.LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        processes._remove_left_ones(tmp_path)
    assert not left.exists()
    assert used.exists()
    assert folder.exists()


def test_the_folder_is_removed_at_the_end(folder):
    processes.remove()
    assert not folder.exists()
