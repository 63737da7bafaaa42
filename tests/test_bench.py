"""The bench runs to its end and prints its figures. No test checks how fast anything is."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.environment import ROOT


def test_the_bench_is_not_part_of_the_service():
    assert not [app for app in settings.INSTALLED_APPS if app.startswith("bench")]


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
