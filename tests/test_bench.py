"""The bench runs to its end and prints its figures. No test checks how fast anything is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from bench.against import verdict
from bench.against.plan import CONTESTANTS
from bench.plan import LIMITED, SCENARIOS
from bench.settings import DATABASE_NAME
from foundation.database.configuration import NAME
from sandbox.private_postgres import PrivateServer
from tests.environment import ROOT


def test_the_bench_is_not_part_of_the_service():
    assert not [app for app in settings.INSTALLED_APPS if app.startswith("bench")]


@pytest.mark.slow
def test_a_database_of_the_benchs_name_that_is_not_its_own_is_not_dropped(tmp_path):
    server = PrivateServer(tmp_path / "bench")
    target: Any = {"host": str(server.socket_directory), "user": NAME, "autocommit": True}
    with server.lease(create=True):
        with psycopg.connect(dbname=NAME, **target) as db:
            db.execute(f"CREATE DATABASE {DATABASE_NAME}")
        with psycopg.connect(dbname=DATABASE_NAME, **target) as db:
            db.execute("CREATE TABLE accounts_user AS SELECT 'ada' AS name")
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        run = subprocess.run(
            [sys.executable, "-m", "bench", "--quick"],
            cwd=ROOT,
            env=environ | {"DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 2, run.stderr
        assert "holds data (public.accounts_user has rows)" in run.stderr
        with psycopg.connect(dbname=DATABASE_NAME, **target) as db:
            assert db.execute("SELECT name FROM accounts_user").fetchall() == [("ada",)]


@pytest.mark.slow
def test_a_small_run_measures_every_variant_under_every_load_and_leaves_clean_books(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--rounds", "1", "--seconds", "0.02", "--json"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert set(report["loads"]) == {scenario.name for scenario in SCENARIOS}
    for scenario in SCENARIOS:
        load = report["loads"][scenario.name]
        assert set(load["variants"]) == {variant.name for variant in scenario.variants}
        for figures in load["variants"].values():
            assert figures["requests"] > 0
            assert figures["errors"] == 0
    assert report["troubles"] == []
    assert {goal["met"] for goal in report["goals"].values()} <= {True, False}
    assert set(report["database_alone"]) == {scenario.name for scenario in LIMITED}
    assert all(reading["ratio"] > 0 for reading in report["histories"].values())
    assert len(report["histories"]) == 6
    assert all(page["ratio"] > 0 for page in report["back_office"].values())


def test_the_interval_of_a_median_leaves_out_as_many_values_as_the_binomial_distribution_allows():
    """Known from tables of the sign test, for 95 %."""
    assert [verdict.left_out(values) for values in (1, 5, 6, 8, 9, 20, 24, 100)] == [0, 0, 0, 0, 1, 5, 6, 39]


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([1.0] * 20, verdict.YES),
        ([0.95] * 20, verdict.YES),
        ([0.9] * 14 + [1.0] * 6, verdict.WITHIN_THE_SPREAD),
        ([0.9] * 15 + [1.0] * 5, verdict.NO),
    ],
)
def test_the_verdict_is_no_only_if_the_whole_interval_is_below(ratios, expected):
    assert verdict.Ratio.of([(ratio, 1.0) for ratio in ratios]).verdict(0.95) == expected


@pytest.mark.slow
def test_this_checkout_is_compared_with_a_commit_on_a_database_of_its_own(tmp_path):
    git = ["git", "-C", str(ROOT), "rev-parse", "--show-toplevel", "HEAD"]
    history = subprocess.run(git, capture_output=True, text=True)
    if history.returncode or Path(history.stdout.splitlines()[0]) != ROOT:
        pytest.skip("There is no git history here, so there is no commit to compare with.")
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--against", "HEAD", "--json"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path), "WEB_WORKERS": "1"},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["before"].startswith(history.stdout.split()[1][:7])
    assert set(report["costs"]) == {each.name for each in CONTESTANTS}
    for cost in report["costs"].values():
        assert cost["charges"] > 0
        assert cost["errors"] == 0
        assert cost["both_ms"] > cost["web_ms"] > 0
    assert set(report["ratios"]) == {each.name for each in CONTESTANTS if each.base}
    for comparison in report["ratios"].values():
        assert 0 < comparison["both"]["low"] <= comparison["both"]["median"] <= comparison["both"]["high"]
        assert comparison["verdict"] == verdict.TOO_FEW_ROUNDS
    assert report["troubles"] == []
    assert not (tmp_path / "bench" / "checkout").exists()


def test_a_commit_that_git_does_not_have_is_refused_before_anything_starts(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--against", "no-such-commit"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 2, run.stderr
    assert "no-such-commit" in run.stderr or "git is not installed" in run.stderr
    assert list(tmp_path.iterdir()) == []
