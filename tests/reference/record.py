"""Writes `misar_billing/reference/exchanges.json` anew: `python -m tests.reference.record`.

To be run after an answer of the API has changed on purpose. The difference is in `git diff` then.
"""

import os
import subprocess
import sys

from tests.environment import ROOT

if __name__ == "__main__":
    # The story needs the database of the tests, so the test that compares the file writes it.
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/reference/test_exchanges.py"]
    sys.exit(subprocess.call(command, cwd=ROOT, env=os.environ | {"WRITE_EXCHANGES": "1"}))
