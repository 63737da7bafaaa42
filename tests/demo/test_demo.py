"""`make demo` exits with 0 if every promise was kept, and with 1 if one was broken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import ROOT

pytestmark = pytest.mark.slow


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PG_BIN") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=1800,
    )


def test_every_promise_of_the_story_is_kept(tmp_path):
    run = demo(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "BROKEN" not in run.stdout
    assert "20 allowed, 30 denied" in run.stdout
    assert "Every law holds." in run.stdout
    assert run.stdout.rstrip().endswith("Every promise was kept.")


def test_a_broken_promise_is_noticed(tmp_path):
    run = demo(tmp_path, "--break-a-promise")
    assert run.returncode == 1
    assert "BROKEN the retry takes nothing" in run.stdout
    assert "promises were broken" in run.stderr
