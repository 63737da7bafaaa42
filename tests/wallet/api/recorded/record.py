"""Plays each script and writes its recording.

The name of this file keeps it out of the tests: only `python -m tests.wallet.api.recorded` runs it.
"""

import pytest

from tests.wallet.api.recorded.player import write
from tests.wallet.api.recorded.scripts import SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_record(player, name):
    recorded = []
    for step in SCRIPTS[name]:
        answer = player.plays(step)
        recorded.append(step if answer is None else step | {"answer": answer})
    write(name, recorded)
