"""The documents' own samples, and the published Python client, against the live server: unchanged but for
host and key."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import pytest
import requests
from django.db import connection, transaction
from misarmail import MisarMailClient  # type: ignore[import-untyped]
from misarmail.errors import MisarMailError, MisarMailNetworkError  # type: ignore[import-untyped]

from accounts import api_keys
from accounts.models import ApiKey
from monetization.models import Tip
from tests.crowd import begin
from tests.deployment import eventually
from tests.limits import waits_for_locks_end
from tests.monetization.conftest import BAD_KEY, TIP_BODY, key_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HOST = "https://api.misar.io"
KEY = "msk_..."

# As published, with the address that the page hides from robots filled in.
CURL = """\
curl -X POST https://api.misar.io/mail/v1/monetization/tip \\
  -H "Authorization: Bearer msk_..." \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "alex@example.com",
    "name": "Alex",
    "amount_cents": 500,
    "currency": "USD",
    "message": "Great newsletter!"
  }'
"""
JAVASCRIPT = """\
const res = await fetch('https://api.misar.io/mail/v1/monetization/tip', {
  method: 'POST',
  headers: {
    'Authorization': 'Bearer msk_...',
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({
    email: 'alex@example.com',
    name: 'Alex',
    amount_cents: 500,
    currency: 'USD',
    message: 'Great newsletter!',
  }),
});

const data = await res.json();
console.log(data.net_amount_cents); // amount after platform fee
"""
PYTHON = """\
import httpx

response = httpx.post(
    "https://api.misar.io/mail/v1/monetization/tip",
    headers={"Authorization": "Bearer msk_..."},
    json={
        "email": "alex@example.com",
        "name": "Alex",
        "amount_cents": 500,
        "currency": "USD",
        "message": "Great newsletter!",
    },
)
print(response.json())
"""


@pytest.fixture
def key(transactional_db, creator) -> str:
    return key_of(creator, "monetization")


@pytest.fixture
def run(live_server, key) -> Callable[..., str]:
    """What a program prints for a sample that was given our host and a real key."""

    def run_sample(program: list[str], sample: str) -> str:
        if not shutil.which(program[0]):
            pytest.skip(f"{program[0]} is not installed here")
        here = sample.replace(HOST, live_server.url).replace(KEY, key)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            [*program, here], capture_output=True, text=True, timeout=120, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_sample


def is_as_documented(answer: dict[str, Any]) -> None:
    tip = Tip.objects.get()
    assert list(answer) == [
        "success",
        "tip_id",
        "gross_amount_cents",
        "platform_fee_cents",
        "net_amount_cents",
        "timestamp",
    ]
    assert (answer["success"], answer["tip_id"]) == (True, tip.pk)
    amounts = (answer["gross_amount_cents"], answer["platform_fee_cents"], answer["net_amount_cents"])
    assert amounts == (500, 25, 475)
    assert (tip.email, tip.name, tip.message) == ("alex@example.com", "Alex", "Great newsletter!")


# --- The three samples ------------------------------------------------------------------------------


def test_the_curl_sample(run):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed here")
    is_as_documented(json.loads(run(["sh", "-c"], CURL)))


def test_the_javascript_sample(run):
    assert run(["node", "--input-type=module", "-e"], JAVASCRIPT) == "475\n"
    assert Tip.objects.get().net_cents == 475


def test_the_python_sample(run):
    is_as_documented(ast.literal_eval(run([sys.executable, "-c"], PYTHON)))


# --- The published client -----------------------------------------------------------------------------


@pytest.fixture
def client(live_server, key) -> MisarMailClient:
    return MisarMailClient(key, base_url=f"{live_server.url}/mail/v1")


def test_it_is_the_published_client():
    assert version("misarmail").startswith("5.0.")


@pytest.mark.parametrize("prefix", ["/mail/v1", "/mail/v1/", "/v1"])
def test_the_client_tips(live_server, key, prefix):
    client = MisarMailClient(key, base_url=live_server.url + prefix)
    answer = client.monetization.tip(
        {
            "email": "alex@example.com",
            "name": "Alex",
            "amount_cents": 500,
            "currency": "USD",
            "message": "Great newsletter!",
        }
    )
    is_as_documented(answer)


def test_the_client_reads_the_figures(client):
    client.monetization.tip(TIP_BODY)
    answer = client.plan.monetization()
    assert answer["success"] is True
    figures = answer["data"]["currencies"]["USD"]
    assert (figures["gross_cents"], figures["fee_cents"], figures["net_cents"]) == (500, 25, 475)


def test_the_client_understands_a_validation_error(client):
    with pytest.raises(MisarMailError) as raised:
        client.monetization.tip({"amount_cents": 49})
    assert raised.value.status == 400
    assert "Validation failed" in str(raised.value)
    assert not isinstance(raised.value, MisarMailNetworkError)


def test_the_client_understands_that_nothing_was_said(client):
    with pytest.raises(MisarMailError) as raised:
        client.monetization.tip()
    assert raised.value.status == 400


@pytest.mark.parametrize("bad", ["msk_" + "0" * 64, "nonsense"])
def test_the_client_understands_a_bad_key(live_server, transactional_db, sso_secret, bad):
    client = MisarMailClient(bad, base_url=f"{live_server.url}/mail/v1")
    for call in (lambda: client.monetization.tip(TIP_BODY), client.plan.monetization):
        with pytest.raises(MisarMailError) as raised:
            call()
        assert raised.value.is_unauthorized
        assert BAD_KEY in str(raised.value)


def test_the_client_understands_a_revoked_key(client, creator):
    api_keys.revoke(owner=creator, key_id=ApiKey.objects.get().pk)
    with pytest.raises(MisarMailError) as raised:
        client.plan.monetization()
    assert raised.value.is_unauthorized


def test_the_client_understands_a_missing_scope_and_an_unknown_address(live_server, client, creator):
    reader = MisarMailClient(key_of(creator, "read"), base_url=f"{live_server.url}/mail/v1")
    with pytest.raises(MisarMailError, match="API key does not have 'monetization' scope") as raised:
        reader.monetization.tip(TIP_BODY)
    assert raised.value.status == 403
    with pytest.raises(MisarMailError) as raised:
        client.contacts.list()
    assert raised.value.status == 404
    with pytest.raises(MisarMailError, match="Sign in") as raised:
        client.keys.list()
    assert raised.value.is_unauthorized


def test_the_client_understands_a_conflict(client):
    client.monetization.tip(TIP_BODY)
    with pytest.raises(MisarMailError, match="another amount or currency") as raised:
        client.monetization.tip(TIP_BODY | {"amount_cents": 900})
    assert raised.value.status == 409


def test_the_client_gives_up_on_a_429_and_nothing_was_recorded(client, settings, one_window):
    settings.CREATOR_REQUESTS_PER_MINUTE = 1
    client.monetization.tip(TIP_BODY)
    with pytest.raises(MisarMailError, match="Too many requests") as raised:
        client.monetization.tip(TIP_BODY | {"stripe_payment_id": "pi_other"})
    assert raised.value.status == 429
    assert Tip.objects.count() == 1


# --- It retries, and sends no key -----------------------------------------------------------------------


class Lossy:
    """A proxy that hands every request on, and loses the first answers on their way back."""

    def __init__(self, upstream: str, *losses: str) -> None:
        self.upstream, self.losses = upstream, list(losses)
        self.passed_on: list[int] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sent = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
                answer = requests.post(proxy.upstream + self.path, body, headers=sent, timeout=120)
                proxy.passed_on.append(answer.status_code)
                loss = proxy.losses.pop(0) if proxy.losses else ""
                if loss == "hang up":
                    self.close_connection = True
                    return
                status, content = answer.status_code, answer.content
                if loss == "not json":
                    content = b"<html>200 OK</html>"
                elif loss:
                    status, content = int(loss), b'{"error": "lost"}'
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def through(live_server, key) -> Iterator[Callable[..., tuple[MisarMailClient, Lossy]]]:
    """The client behind a proxy with these losses."""
    proxies = []

    def client_through(*losses: str) -> tuple[MisarMailClient, Lossy]:
        proxies.append(Lossy(live_server.url, *losses))
        return MisarMailClient(key, base_url=f"{proxies[-1].url}/mail/v1"), proxies[-1]

    yield client_through
    for proxy in proxies:
        proxy.stop()


@pytest.mark.parametrize("loss", ["503", "502", "429", "hang up", "not json"])
def test_a_tip_with_a_payment_id_is_recorded_once_however_often_it_is_sent(through, loss):
    client, proxy = through(loss, loss)
    answer = client.monetization.tip(TIP_BODY)
    assert proxy.passed_on == [200, 200, 200]
    tip = Tip.objects.get()
    assert (answer["tip_id"], answer["net_amount_cents"]) == (tip.pk, 475)


def test_without_one_each_try_is_a_tip(through):
    """Why our documents say: send one."""
    client, _ = through("503")
    client.monetization.tip({"amount_cents": 500})
    assert Tip.objects.count() == 2


def test_a_tip_that_we_could_not_record_in_time_is_recorded_at_the_next_try(through):
    """A true 503 of ours: another connection holds the table for longer than a request waits."""
    client, proxy = through()
    held = threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE monetization_tip IN ACCESS EXCLUSIVE MODE")
            held.set()
            eventually(lambda: proxy.passed_on)

    with waits_for_locks_end():
        holding = begin(hold)
        assert held.wait(120)
        answer = client.monetization.tip(TIP_BODY)
        holding.result(timeout=120)
    assert (proxy.passed_on[0], proxy.passed_on[-1]) == (503, 200)
    assert answer["tip_id"] == Tip.objects.get().pk
