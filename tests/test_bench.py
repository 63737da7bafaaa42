"""The bench runs to its end and prints its figures. No test checks how fast anything is."""

import json
import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from django.conf import settings

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
        [sys.executable, "-m", "bench", "--quick", "--rounds", "1", "--seconds", "0.2", "--json"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert set(report["loads"]) == {"many", "hot", "alone"}
    for load in report["loads"].values():
        assert set(load["variants"]) == {"ours", "select_for_update", "noop"}
        for figures in load["variants"].values():
            assert figures["requests"] > 0
            assert figures["errors"] == 0
    assert report["troubles"] == []
    assert all(reading["ratio"] > 0 for reading in report["histories"].values())
    assert len(report["histories"]) == 6
    assert all(page["ratio"] > 0 for page in report["back_office"].values())
