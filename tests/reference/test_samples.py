"""The code in the reference: each sample sends the request that was recorded, and the first program works."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import playwright
import pytest

from misar_billing.reference import exchanges, views
from misar_billing.reference.exchanges import Exchange, Request
from misar_billing.reference.samples import VARIABLES, WIDTH, Sample
from tests.conftest import product
from wallet.books import funds
from wallet.books.models import Entry

SECRETS = {name: f"secret-{name}" for name in VARIABLES.values()}


def shown() -> list[Exchange]:
    """The exchange of each operation that the reference shows as code."""
    first: dict[str, Exchange] = {}
    for each in exchanges.all_exchanges():
        if each.operation and each.answer.status < 400 and "Stripe-Signature" not in each.request.headers:
            first.setdefault(each.operation, each)
    return list(first.values())


@contextmanager
def recorder() -> Iterator[tuple[str, list[Request]]]:
    """A server that keeps each request and answers `{}`; its address, and the requests."""
    kept: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.append(Request(self.command, self.path, headers, json.loads(body) if body else None))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kept
    finally:
        server.shutdown()
        server.server_close()


def node() -> str:
    """The Node that Playwright brings, so that the samples also run where none is installed."""
    found = Path(playwright.__file__).parent / "driver" / "node"
    return str(found) if found.exists() else shutil.which("node") or pytest.skip("Node is not installed here")


def run(language: str, programs: list[str], **variables: str) -> str:
    """Run programs one after the other; what they print. Fails the test if one fails."""
    if language == "curl":
        if not shutil.which("curl"):
            pytest.skip("curl is not installed here")
        command, code = ["sh", "-eu"], "\n".join(programs)
    elif language == "python":
        command, code = [sys.executable, "-"], "\n".join(programs)
    else:
        command = [node(), "--input-type=module"]
        code = "\n".join(f"{{\n{each}\n}}" for each in programs)
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        command,
        input=code,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment | variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("language", views.LANGUAGES)
def test_each_sample_sends_what_was_recorded(language):
    with recorder() as (base, kept):
        programs = [getattr(Sample(each.request, base), language)() for each in shown()]
        run(language, programs, **SECRETS)
    assert len(kept) == len(shown())
    for each, sent in zip(shown(), kept, strict=True):
        request = each.request
        assert (sent.method, sent.path, sent.body) == (request.method, request.path, request.body)
        for name, value in request.headers.items():
            for placeholder, variable in VARIABLES.items():
                value = value.replace(placeholder, SECRETS[variable])
            assert sent.headers[name.lower()] == value, each


AWKWARD = Request(
    "POST",
    "/io/wallet/deduct?note=its&b=%20",
    {"x-wallet-service-key": "wsk_...", "Content-Type": "application/json"},
    {
        "user_id": 'it\'s "x" <b> & \\n',
        "a-key": None,
        "yes": True,
        "no": False,
        "list": [{"long": "a" * 40, "text": "ä€"}, [], {}, "b" * 30],
    },
)


@pytest.mark.slow
@pytest.mark.parametrize("language", views.LANGUAGES)
def test_quotes_and_other_marks_arrive_as_they_are(language):
    with recorder() as (base, kept):
        run(language, [getattr(Sample(AWKWARD, base), language)()], **SECRETS)
    assert [(each.path, each.body) for each in kept] == [(AWKWARD.path, AWKWARD.body)]


@pytest.mark.parametrize("language", views.LANGUAGES)
def test_the_lines_of_samples_fit_into_their_column(language):
    """A line may be longer if one text or address in it is as long as that."""
    for each in shown():
        for line in getattr(Sample(each.request, ""), language)().splitlines():
            longest = max(map(len, line.split('"')), default=0)
            assert len(line) <= WIDTH + 4 or longest > 30, line


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", views.LANGUAGES)
def test_the_first_program_charges_gives_back_and_captures_once(language, live_server, give, article_rate):
    give("usr_demo", 42)
    key = product("blog").headers["x-wallet-service-key"]
    program = views.program(f"first_charge.{language}", live_server.url).replace(
        "export WALLET_SERVICE_KEY=wsk_...", f"export WALLET_SERVICE_KEY={key}"
    )
    outputs = [run(language, [program], WALLET_SERVICE_KEY=key) for _ in range(2)]
    kinds = list(Entry.objects.order_by("sequence").values_list("kind", flat=True))
    assert kinds == ["topup", "deduct", "refund", "capture"]
    assert funds.available_of("usr_demo") == 39
    assert all("39" in output for output in outputs)
    # The second time, the key of the first charge is used up: it was given back.
    assert [output.count("error") for output in outputs] == [0, 1]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_function_that_tries_again_charges_once(live_server, give, article_rate):
    give("usr_demo", 42)
    names: dict[str, Any] = {}
    exec(views.program("retry.python", live_server.url), names)  # noqa: S102
    body = {"user_id": "usr_demo", "feature": article_rate, "idempotency_key": "article:1"}
    assert [names["charge"](body, product("blog").headers) for _ in range(2)] == [True, True]
    assert (
        names["charge"]({**body, "count": 500, "idempotency_key": "article:2"}, product("blog").headers)
        is False
    )
    assert funds.available_of("usr_demo") == 41
