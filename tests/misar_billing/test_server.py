"""What only a real gunicorn shows: chunked bodies, clients and a database that fall silent."""

import http.client
import json
import socket
import time
from contextlib import ExitStack, suppress

import pytest
import requests

from sandbox.signals import stopped
from tests.deployment import TIMES, Deployment, deployed, eventually
from tests.proxied import proxying
from tests.wallet.payments.test_trouble import THREE_SECONDS, unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("deployment") / "data") as served:
        yield served


def chunked(served: Deployment, body: bytes) -> tuple[int, dict]:
    """A charge whose body comes in pieces without a length, as many clients send it."""
    caller = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    headers = {"x-wallet-service-key": served.service_key, "Content-Type": "application/json"}
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    with suppress(BrokenPipeError):  # The service may answer and close before it was sent everything.
        caller.request("POST", "/io/wallet/deduct", pieces, headers, encode_chunked=True)
    answer = caller.getresponse()
    return answer.status, json.loads(answer.read())


def frozen(served: Deployment):
    """PostgreSQL stands still, all of it."""
    return stopped(served.postmaster())


def test_a_chunked_body_counts_as_what_it_is(deployment):
    work = {"user_id": "usr_1", "feature": "mail.send", "idempotency_key": "chunked"}
    status, body = chunked(deployment, json.dumps(work).encode())
    assert (status, body["allowed"]) == (200, True)
    status, body = chunked(deployment, json.dumps(work | {"padding": "x" * 70_000}).encode())
    assert (status, body["allowed"]) == (413, False)
    status, body = chunked(deployment, json.dumps(work | {"padding": "x" * 2_000_000}).encode())
    assert (status, body["allowed"]) == (413, False)


def test_clients_that_fall_silent_do_not_hold_the_others_up(deployment):
    head = b"POST /io/wallet/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
    with ExitStack() as stack:
        silent = []
        for number in range(30):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", deployment.port)))
            one.sendall(head if number % 2 else head[:30])
            silent.append(one)
        began = time.monotonic()
        answer = requests.get(f"{deployment.url}/io/wallet/rates", timeout=120)
        assert answer.status_code == 200
        assert time.monotonic() - began < 20
        silent[1].settimeout(120)
        assert silent[1].recv(100).startswith(b"HTTP/1.1 408")


def test_slow_clients_of_the_proxy_do_not_hold_charges_up(deployment):
    head = b"POST /io/wallet/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    before = deployment.balance()
    with (
        proxying(deployment.port, deployment.internal_port, SERVER_THREADS="16") as proxy,
        ExitStack() as stack,
    ):
        for number in range(250):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            one.sendall(head + b"x" * 100_000 if number % 5 else head[:40])
        for number in range(10):
            body = {"user_id": "usr_1", "feature": "mail.send", "idempotency_key": f"behind-{number}"}
            headers = {"x-wallet-service-key": deployment.service_key, "X-Request-ID": f"behind-{number}"}
            url = f"{proxy.url}/io/wallet/deduct"
            answer = requests.post(url, json=body, headers=headers, timeout=120)
            assert answer.json()["allowed"] is True
            assert answer.headers["X-Request-ID"] == f"behind-{number}"
    assert deployment.balance() == before - 10


def test_the_internal_listener_says_whether_the_service_can_write(deployment):
    internal = f"http://127.0.0.1:{deployment.internal_port}"
    assert requests.get(f"{internal}/health", timeout=120).json() == {"status": "ok"}
    assert requests.get(f"{internal}/ready", timeout=120).text == "ready"
    assert requests.get(f"{internal}/wallet", timeout=120).status_code == 404
    with frozen(deployment):
        assert requests.get(f"{internal}/ready", timeout=120).text == "ready"
        # For a second, each worker repeats its last answer.
        eventually(lambda: requests.get(f"{internal}/health", timeout=120).status_code == 503)


def test_a_frozen_database_denies_in_time_and_serves_when_it_thaws(deployment):
    before = deployment.balance()
    answer, _ = deployment.deduct("warm")
    assert answer.json()["allowed"] is True
    with frozen(deployment):
        waits = []
        for number in range(4):
            answer, seconds = deployment.deduct(f"frozen-{number}")
            assert unavailable(answer) == {"allowed": False}
            waits.append(seconds)
        # Without a deadline of ours none would be answered at all. On a machine that is busy with other
        # tests a single one may come late.
        assert sorted(waits)[1] < THREE_SECONDS + 0.5 * TIMES
        assert not deployment.is_healthy()
    for number in range(4):
        answer, _ = deployment.deduct(f"frozen-{number}")
        assert answer.json()["allowed"] is True
    # What was asked while it was frozen was either never begun or is the very charge answered now.
    assert deployment.balance() == before - 5
    assert "Every law holds" in deployment.manage("check_ledger")
