"""The soak: what it compares, a short round with every fault, and that Ctrl-C leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from accounts.models import ServiceKey
from foundation.database.configuration import NoDatabase
from sandbox import postgres_programs
from sandbox.private_postgres import PrivateServer
from soak import books, report
from soak.callers import World
from soak.faults import FAULTS
from soak.tally import Kind, Outcome, Tally, Unit, Window
from tests.environment import ROOT
from wallet.charges import deductions

QUICK = ("--rounds", "1", "--seconds", "1")


# --- The comparison with the books --------------------------------------------------------------------


@pytest.fixture
def world(db) -> World:
    opened = books.opened([], Tally())
    opened.tally.windows.append(Window("nothing", 1))
    return opened


def charge(world: World, *, key: str, count: int = 1) -> None:
    """A charge in the books."""
    user_id, service = world.hot_wallet, ServiceKey.objects.get(product=books.PRODUCT)
    deductions.deduct(service=service, user_id=user_id, feature=world.feature, count=count, key=key)


def unit(world: World, key: str, outcome: Outcome = Outcome.ACKNOWLEDGED) -> Unit:
    """A charge as its caller knows it."""
    made = world.tally.begin(Kind.DEDUCT, key, world.hot_wallet, world.price)
    if outcome is Outcome.ACKNOWLEDGED:
        world.tally.acknowledge(made)
    made.outcome = outcome
    return made


def counted(world: World) -> tuple[int, int, int]:
    """How many are lost and doubled, and how many sentences say what differs."""
    sentences = books.compare(world)
    return world.tally.window.lost, world.tally.window.doubled, len(sentences)


def test_what_is_acknowledged_and_in_the_books_is_in_order(world):
    charge(world, key="one")
    unit(world, "one")
    assert counted(world) == (0, 0, 0)


def test_a_charge_that_the_books_lack_is_lost(world):
    unit(world, "one")
    assert counted(world) == (1, 0, 2)  # The charge, and the wallet's sum.


def test_a_charge_that_no_caller_knows_is_doubled(world):
    charge(world, key="one")
    charge(world, key="another")
    unit(world, "one")
    assert counted(world) == (0, 1, 2)


def test_a_charge_of_more_than_was_acknowledged_is_doubled(world):
    charge(world, key="one", count=2)
    unit(world, "one")
    assert counted(world) == (0, 1, 2)


def test_a_charge_that_was_denied_and_is_in_the_books_is_doubled(world):
    charge(world, key="one")
    unit(world, "one", Outcome.DENIED)
    assert counted(world) == (0, 1, 2)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_the_caller_does_not_know_may_be_in_the_books_or_not(world, is_there):
    if is_there:
        charge(world, key="one")
    unit(world, "one", Outcome.OPEN)
    assert counted(world) == (0, 0, 0)


def test_a_run_is_good_only_if_nothing_is_lost_doubled_broken_or_down():
    good = report.Measured([Window("nothing", 1)], [], [], {}, "")
    assert good.is_good
    for spoilt in (
        replace(good, windows=[Window("nothing", 1, lost=1)]),
        replace(good, windows=[Window("nothing", 1, doubled=1)]),
        replace(good, windows=[Window("nothing", 1, did_not_resume=["holds"])]),
        replace(good, differences=["A wallet has other credits than its callers were told."]),
        replace(good, broken_laws=["The books do not balance."]),
    ):
        assert not spoilt.is_good


# --- The run ------------------------------------------------------------------------------------------


def environment(data_dir) -> dict[str, str]:
    """The environment of a run. Skips the test if there is no PostgreSQL to start."""
    try:
        postgres_programs.find_programs(os.environ)
    except NoDatabase as missing:
        pytest.skip(str(missing))
    return os.environ | {"DATA_DIR": str(data_dir)}


@pytest.mark.slow
def test_a_short_round_loses_nothing_doubles_nothing_and_resumes_after_every_fault(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "soak", *QUICK, "--json"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    found = json.loads(run.stdout)
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert (found["differences"], found["broken_laws"], found["did_not_resume"]) == ([], [], [])
    assert set(found["faults"]) == {fault.name for fault in FAULTS}
    happened = {name: figures for name, figures in found["faults"].items() if not figures["skipped"]}
    assert all(figures["acknowledged"] for figures in happened.values())
    # Each of these stops every charge for a whole second.
    for name in ("postgres_killed", "read_only", "out_of_connections"):
        assert happened[name]["refused"] > 0, name


@pytest.fixture
def started(tmp_path) -> Iterator[subprocess.Popen]:
    """A run whose first fault has begun."""
    run = subprocess.Popen(
        [sys.executable, "-m", "soak", *QUICK, "--only", "postgres_stopped"],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any(line.startswith("Round 1") for line in run.stdout or ())
        yield run
    finally:
        run.terminate()
        run.communicate(timeout=300)


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(started, tmp_path):
    started.send_signal(signal.SIGINT)
    _, complaints = started.communicate(timeout=300)
    assert (started.returncode, complaints.strip()) == (2, "The run was cut short.")
    assert not (tmp_path / "soak" / "run").exists()
    assert not PrivateServer(tmp_path / "soak" / "run").socket_directory.exists()
    listed = subprocess.check_output(["ps", "-eo", "args="], text=True)
    assert str(tmp_path) not in listed
