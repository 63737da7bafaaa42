"""The six endpoints of the first release answer byte for byte as they did when they were recorded.

The recordings were made before holds, quotes and freezes existed. Wallets without any of these must not
notice them. `record.py` records again, for an answer that is changed on purpose.
"""

import json

import pytest

from tests.wallet.api.recorded.player import FOLDER, read

ENDPOINTS = ["balance", "deduct", "rates", "topup_session", "transactions", "webhook"]


def shown(answer):
    return f"  {answer['status']} {json.dumps(answer['headers'], sort_keys=True)}\n  {answer['body']}"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_it_answers_as_recorded(player, subtests, endpoint):
    for step in read(endpoint):
        answer = player.plays(step)
        if answer == step.get("answer"):
            continue
        what = f"{step['name']}: {step['request']['method']} {step['request']['path']}"
        with subtests.test(what):
            pytest.fail(f"{what}\nrecorded:\n{shown(step['answer'])}\nnow:\n{shown(answer)}")


def test_there_are_enough_requests_and_every_file_is_replayed():
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == ENDPOINTS
    assert sum("request" in step for endpoint in ENDPOINTS for step in read(endpoint)) >= 80
