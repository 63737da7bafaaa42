"""The samples of the documents run in curl, Python and JavaScript, and their answers have the keys shown."""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import playwright
import pytest
from django.utils import timezone

from accounts import api_keys, service_keys
from accounts.models import Right, User
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
def variables(live_server: Any, token: Callable[..., str]) -> dict[str, str]:
    """The variables of the documents."""
    _, service_key = service_keys.issue_service_key(
        product="blog", rights=Right.values, grant_max=100, grant_month_max=1000
    )
    creator, _ = User.objects.get_or_create(misar_id="usr_123")
    _, key = api_keys.issue(owner=creator, name="Samples", scopes=["monetization"])
    return {
        "MAIL": f"{live_server.url}/mail/v1",
        "API_KEY": key,
        "WALLET": f"{live_server.url}/io/wallet",
        "WALLET_SERVICE_KEY": service_key,
        "NEXT_MONTH": f"{timezone.now() + timedelta(days=30):%Y-%m-%dT00:00:00Z}",
        "SSO_TOKEN": token("usr_123"),
    }


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "proxy" in name.lower():
            monkeypatch.delenv(name)


@pytest.fixture
def in_bash(variables: dict[str, str], without_proxies: None) -> Runs:
    """Run a command unchanged; returns its output, read as JSON. HOLD_ID and GRANT_ID are those made last."""
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
        answer = json.loads(done.stdout)
        made = answer if isinstance(answer, dict) else {}
        variables["HOLD_ID"] = made.get("holdId", variables.get("HOLD_ID", ""))
        if str(made.get("id")).startswith("grant_"):
            variables["GRANT_ID"] = made["id"]
        return answer

    return run


@pytest.fixture
def in_python(variables: dict[str, str], without_proxies: None) -> Runs:
    """Run one sample after the other as one program; returns what the last line of a sample assigns."""
    names: dict[str, Any] = {**variables}

    def run(sample: Sample) -> Any:
        code = ast.parse(sample.code)
        exec(compile(code, "docs", "exec"), names)  # noqa: S102
        last = code.body[-1]
        target = last.targets[0] if isinstance(last, ast.Assign) else None
        return names[target.id] if isinstance(target, ast.Name) else None

    return run


def node() -> str:
    """The Node that Playwright brings, so that the samples also run where none is installed."""
    found = Path(playwright.__file__).parent / "driver" / "node"
    return str(found) if found.exists() else shutil.which("node") or pytest.skip("Node is not installed here")


def answers_of_javascript(samples: list[Sample], variables: dict[str, str]) -> list[Any]:
    """Run all samples as one program; what the last `const` of each is, if it has one."""
    lines = [f"const {name} = {json.dumps(value)};" for name, value in variables.items()]
    lines.append("const answers = [];")
    for sample in samples:
        assigned = re.findall(r"^const (\w+) =", sample.code, re.MULTILINE)
        lines += [sample.code, f"answers.push({assigned[-1] if assigned else 'null'});"]
    lines.append("console.log(JSON.stringify(answers));")
    done = subprocess.run(
        [node(), "--input-type=module"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(samples: list[Sample], answers: Iterator[Any], subtests: Any) -> None:
    assert len([sample for sample in samples if sample.answers]) >= 4
    for sample, answer in zip(samples, answers, strict=True):
        with subtests.test(sample=str(sample)):
            if sample.answers:
                assert shape_of(answer) in [shape_of(shown) for shown in sample.answers]


# The samples run in the order of the document, since one reads what another made.


def test_the_curl_samples_of_the_wallets_document(in_bash, subtests, sandbox, give, article_rate):
    give("usr_123", 42)
    samples = samples_of("api.md", "bash")
    compare(samples, map(in_bash, samples), subtests)


def test_the_curl_samples_of_the_creators_document(in_bash, subtests):
    samples = samples_of("monetization.md", "bash")
    compare(samples, map(in_bash, samples), subtests)


def test_the_python_samples_of_the_wallets_document(in_python, subtests, give, article_rate):
    give("usr_123", 42)
    samples = samples_of("api.md", "python")
    compare(samples, map(in_python, samples), subtests)
    again = Sample('again = charge("usr_123", "blog.article.generate", "article:another")', ())
    assert in_python(again) is True


def test_the_javascript_samples_of_the_wallets_document(variables, subtests, give, article_rate):
    give("usr_123", 42)
    samples = samples_of("api.md", "javascript")
    compare(samples, iter(answers_of_javascript(samples, variables)), subtests)


def test_what_is_shown_in_one_language_is_shown_in_all():
    shown = {
        language: [sample.answers for sample in samples_of("api.md", language) if sample.answers]
        for language in LANGUAGES
    }
    assert shown["python"] == shown["javascript"]
    assert len(shown["python"]) >= 10
    assert all(answers in shown["bash"] for answers in shown["python"])


@pytest.mark.parametrize("document", ["api.md", "monetization.md"])
def test_every_json_block_is_json(document):
    blocks = [
        block[2] for block in BLOCK.finditer((ROOT / "docs" / document).read_text()) if block[1] == "json"
    ]
    assert blocks
    for block in blocks:
        json.loads(block)
