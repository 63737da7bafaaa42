"""Every curl sample of the documents runs, and its answer has the keys that the documents show."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from accounts import api_keys
from accounts.models import User
from tests.environment import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """A command and the answers shown after it; with several, any one of them may come."""

    command: str
    answers: tuple[Any, ...]

    def __str__(self) -> str:
        words = re.sub(r"\s+", " ", self.command).replace("curl ", "")
        return re.sub(r' -[HX] ("[^"]*"|\w+)|-H "[^"]*" ', "", words)[:50]


def samples_of(document: str) -> list[Sample]:
    """The ```bash blocks of a document, each with the ```json blocks directly after it."""
    blocks = list(BLOCK.finditer((ROOT / "docs" / document).read_text()))
    samples = []
    for index, block in enumerate(blocks):
        if block[1] == "bash":
            answers, end = [], block.end()
            for later in blocks[index + 1 :]:
                if later[1] != "json" or later.string[end : later.start()].strip():
                    break
                answers.append(json.loads(later[2]))
                end = later.end()
            samples.append(Sample(block[2].strip(), tuple(answers)))
    return samples


def shape_of(value: Any) -> Any:
    """The keys of a value at every depth; an array becomes the keys of its items."""
    if isinstance(value, dict):
        return {name: shape_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    return "a value"


Runs = Callable[[str], Any]


@pytest.fixture
def runs(live_server: Any, service_key: str, token: Callable[..., str]) -> Runs:
    """Run a command unchanged, with the variables of the documents; returns its output, read as JSON."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed here")
    creator, _ = User.objects.get_or_create(misar_id="usr_123")
    _, key = api_keys.issue(owner=creator, name="Samples", scopes=["monetization"])
    variables = {
        "MAIL": f"{live_server.url}/mail/v1",
        "API_KEY": key,
        "WALLET": f"{live_server.url}/io/wallet",
        "WALLET_SERVICE_KEY": service_key,
        "SSO_TOKEN": token("usr_123"),
    }
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}

    def run(command: str) -> Any:
        done = subprocess.run(
            ["sh", "-eu", "-c", command.replace("curl ", "curl -sS --fail-with-body ", 1)],
            capture_output=True,
            text=True,
            timeout=300,
            env=inherited | variables,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout)

    return run


def show_what_is_documented(document: str, runs: Runs, subtests: Any) -> None:
    """Run the samples in the order of the document, since one reads what another made."""
    samples = samples_of(document)
    assert len(samples) >= 4
    for sample in samples:
        with subtests.test(sample=str(sample)):
            answer = runs(sample.command)
            if sample.answers:
                assert shape_of(answer) in [shape_of(shown) for shown in sample.answers]


def test_the_samples_of_the_wallets_document(runs, subtests, sandbox, give, article_rate):
    give("usr_123", 42)
    show_what_is_documented("api.md", runs, subtests)


def test_the_samples_of_the_creators_document(runs, subtests):
    show_what_is_documented("monetization.md", runs, subtests)


@pytest.mark.parametrize("document", ["api.md", "monetization.md"])
def test_every_json_block_is_json(document):
    blocks = [
        block[2] for block in BLOCK.finditer((ROOT / "docs" / document).read_text()) if block[1] == "json"
    ]
    assert blocks
    for block in blocks:
        json.loads(block)
