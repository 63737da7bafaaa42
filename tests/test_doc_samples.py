"""The samples of the document for creators run in curl, and their answers have the keys shown."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from accounts import api_keys
from accounts.models import User
from tests.environment import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = ("bash", "python", "javascript")


@dataclass(frozen=True)
class Sample:
    """Code, and the answers shown after it; with several, any one of them may come."""

    code: str
    answers: tuple[Any, ...]

    def __str__(self) -> str:
        words = re.sub(r"\s+", " ", self.code).replace("curl ", "")
        return re.sub(r' -[HX] ("[^"]*"|\w+)|-H "[^"]*" ', "", words)[:50]


def groups_of(document: str) -> Iterator[list[re.Match[str]]]:
    """The blocks of a document; those with nothing between them are together."""
    group: list[re.Match[str]] = []
    for block in BLOCK.finditer((ROOT / "docs" / document).read_text()):
        if group and block.string[group[-1].end() : block.start()].strip():
            yield group
            group = []
        group.append(block)
    yield group


def samples_of(document: str, language: str) -> list[Sample]:
    """The samples in one language. The answers of a group are those of its code in each language.

    Code of the same language that comes earlier in the group has no answer shown.
    """
    samples: list[tuple[str, list[Any]]] = []
    for group in groups_of(document):
        answers: list[Any] = []
        seen: set[str] = set()
        for block in group:
            if block[1] == "json":
                answers.append(json.loads(block[2]))
            elif block[1] in LANGUAGES:
                if answers or block[1] in seen:
                    answers, seen = [], set()
                seen.add(block[1])
                if block[1] == language:
                    samples.append((block[2].strip(), answers))
    return [Sample(code, tuple(answers)) for code, answers in samples]


def shape_of(value: Any) -> Any:
    """The keys of a value at every depth; an array becomes the keys of its items."""
    if isinstance(value, dict):
        return {name: shape_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    return "a value"


Runs = Callable[[Sample], Any]


@pytest.fixture
def variables(live_server: Any) -> dict[str, str]:
    """The variables of the document."""
    creator, _ = User.objects.get_or_create(misar_id="usr_123")
    _, key = api_keys.issue(owner=creator, name="Samples", scopes=["monetization"])
    return {"MAIL": f"{live_server.url}/mail/v1", "API_KEY": key}


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "proxy" in name.lower():
            monkeypatch.delenv(name)


@pytest.fixture
def in_bash(variables: dict[str, str], without_proxies: None) -> Runs:
    """Run a command unchanged; returns its output, read as JSON."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed here")

    def run(sample: Sample) -> Any:
        done = subprocess.run(
            ["sh", "-eu", "-c", sample.code.replace("curl ", "curl -sS --fail-with-body ", 1)],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | variables,
            check=False,
        )
        assert done.returncode == 0, (sample.code, done.stdout, done.stderr)
        return json.loads(done.stdout)

    return run


def compare(samples: list[Sample], answers: Iterator[Any], subtests: Any) -> None:
    assert len([sample for sample in samples if sample.answers]) >= 4
    for sample, answer in zip(samples, answers, strict=True):
        with subtests.test(sample=str(sample)):
            if sample.answers:
                assert shape_of(answer) in [shape_of(shown) for shown in sample.answers]


# The samples run in the order of the document, since one reads what another made.


def test_the_curl_samples_of_the_creators_document(in_bash, subtests):
    samples = samples_of("monetization.md", "bash")
    compare(samples, map(in_bash, samples), subtests)


def test_every_json_block_is_json():
    document = (ROOT / "docs" / "monetization.md").read_text()
    blocks = [block[2] for block in BLOCK.finditer(document) if block[1] == "json"]
    assert blocks
    for block in blocks:
        json.loads(block)
