"""deploy/haproxy.cfg with a real haproxy and a real gunicorn: refusals, forged headers, slow clients, TLS."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from foundation.http.envelope import envelope_of, is_api_path
from sandbox.environment import free_port
from soak.proxy import CONFIGURATION
from tests.deployment import eventually
from tests.proxied import PATIENCE, Proxy, Server, haproxy, proxying, serving

pytestmark = pytest.mark.slow

BUSY = "The service is busy; please try again"
# Each kind of envelope, and how a path may be written.
REQUESTS = [
    ("POST", "/io/wallet/deduct"),
    ("GET", "/io/wallet/deduct"),
    ("POST", "/io/wallet/deduct/batch"),
    ("GET", "/io/wallet/balance?user_id=usr_1"),
    ("POST", "/io/wallet/holds"),
    ("GET", "/io/wallet/holds"),
    ("POST", "/io/wallet/holds/hold_1/capture"),
    ("POST", "/io/wallet/refund"),
    ("GET", "/mail/v1/monetization/tips"),
    ("POST", "/v1/monetization/tips"),
    ("POST", "/io%2Fwallet/deduct"),
    ("GET", "/wallet"),
]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    haproxy()
    with serving(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    with proxying(server.port, server.internal_port) as started:
        yield started


def certificate(folder: Path) -> str:
    """A file with a key and its certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return str(file)


def ask(proxy: Proxy, method: str, path: str) -> tuple[requests.Response, float]:
    """The answer, and how long it took."""
    began = time.monotonic()
    answer = requests.request(method, f"{proxy.url}{path}", timeout=PATIENCE)
    return answer, time.monotonic() - began


def assert_is_a_refusal(answer: requests.Response, method: str, path: str) -> None:
    """Check that this is the envelope that the service itself would use."""
    path = path.partition("?")[0].replace("%2F", "/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-ID"]
    assert "X-Proxy-Error" not in answer.headers
    if is_api_path(path):
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == envelope_of(path).body(path, BUSY, method=method, status=503)
    else:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert f"<h1>{BUSY}</h1>" in answer.text


@pytest.mark.parametrize("environment", [{}, {"SERVER_TWO": "127.0.0.1:8001"}, {"PROXY_CERTIFICATE": ""}])
def test_haproxy_accepts_the_configuration(environment, tmp_path):
    if "PROXY_CERTIFICATE" in environment:
        environment = {"PROXY_CERTIFICATE": certificate(tmp_path)}
    command = [haproxy(), "-c", "-f", str(CONFIGURATION)]
    checked = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr


def test_what_waits_a_second_is_refused_and_checks_do_not_wait(server):
    with (
        proxying(server.port, server.internal_port, PROXY_QUEUE_MIN="50") as proxy,
        ThreadPoolExecutor(20) as pool,
    ):
        with server.holding():
            before = len(server.arrived())
            held = [pool.submit(ask, proxy, "POST", "/held") for _ in range(2)]
            eventually(lambda: len(server.arrived()) == before + 2)
            waiting = [pool.submit(ask, proxy, *each) for each in REQUESTS]
            for each, (method, path) in zip(waiting, REQUESTS, strict=True):
                answer, seconds = each.result()
                assert seconds >= 0.9, path
                assert_is_a_refusal(answer, method, path)
            assert server.internal("/ready") == "ready"
            assert proxy.is_up("one")
            assert proxy.figure("haproxy_server_check_failures_total", server="one") == 0
            assert len(server.arrived()) == before + 2
        assert [each.result()[0].status_code for each in held] == [200, 200]


@pytest.mark.parametrize("limits", [{"PROXY_QUEUE_MIN": "1"}, {"PROXY_QUEUE_MAX": "1"}])
def test_more_than_can_be_served_in_a_second_is_refused_at_once(server, limits):
    with (
        proxying(server.port, server.internal_port, **limits) as proxy,
        ThreadPoolExecutor(4) as pool,
    ):
        with server.holding():
            before = len(server.arrived())
            held = [pool.submit(ask, proxy, "POST", "/held") for _ in range(2)]
            eventually(lambda: len(server.arrived()) == before + 2)

            def refused_while_another_waits() -> int:
                waiting = pool.submit(ask, proxy, "POST", "/held")
                eventually(
                    lambda: (
                        waiting.done()  # Its second was over too soon.
                        or proxy.figure("haproxy_backend_current_queue", proxy="service") == 1
                    )
                )
                for count, (method, path) in enumerate(REQUESTS):
                    answer, _ = ask(proxy, method, path)
                    if waiting.done():  # Its second is over.
                        return count
                    assert_is_a_refusal(answer, method, path)
                return len(REQUESTS)

            eventually(refused_while_another_waits)
            assert proxy.figure("haproxy_frontend_requests_denied_total", proxy="public") > 0
        assert [each.result()[0].status_code for each in held] == [200, 200]


def test_what_waits_for_stripe_or_reads_for_staff_has_more_time_than_a_charge(tmp_path):
    haproxy()
    paths = ["/io/wallet/topup-session", "/wallet/top-up", "/admin/", "/io/wallet/deduct/batch"]
    with (
        serving(tmp_path / "server", WEB_THREADS="5") as server,
        proxying(server.port, server.internal_port, SERVER_THREADS="5") as proxy,
        ThreadPoolExecutor(5) as pool,
    ):
        with server.holding():
            patient = [pool.submit(ask, proxy, "POST", path) for path in paths]
            eventually(lambda: len(server.arrived()) == len(paths))
            answer, _ = ask(proxy, "POST", "/io/wallet/deduct")
            assert answer.status_code == 503
            assert answer.json()["error"] == "The service did not answer in time; please try again"
            assert not any(each.done() for each in patient)
        assert [each.result()[0].status_code for each in patient] == [200] * len(paths)


def test_a_server_that_is_gone_is_refused_in_the_envelope(server):
    with proxying(free_port(), free_port()) as proxy:
        for method, path in REQUESTS:
            answer, _ = ask(proxy, method, path)
            assert_is_a_refusal(answer, method, path)


def test_only_the_proxy_says_who_calls_and_how(proxy):
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Ssl": "on",
        "Forwarded": "for=203.0.113.9;proto=https",
        "X-Real-IP": "203.0.113.9",
        "X_Forwarded_For": "203.0.113.9",
        "Upgrade": "h2c",
    }
    seen = requests.get(f"{proxy.url}/", headers=forged, timeout=PATIENCE).json()
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "http"
    assert seen["wsgi.url_scheme"] == "http"
    assert not {"HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_SSL", "HTTP_FORWARDED", "HTTP_UPGRADE"} & set(seen)
    assert not [name for name, value in seen.items() if "203.0.113.9" in str(value)]


def test_the_client_of_another_proxy_of_ours_is_known(server):
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    with proxying(server.port, server.internal_port, PROXY_TRUSTS="127.0.0.1") as proxy:
        seen = requests.get(f"{proxy.url}/", headers=forwarded, timeout=PATIENCE).json()
        assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
        seen = requests.get(f"{proxy.url}/", timeout=PATIENCE).json()
        assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_a_request_id_is_kept_or_made(proxy):
    def id_seen(**headers: str) -> str:
        return requests.get(f"{proxy.url}/", headers=headers, timeout=PATIENCE).json()["HTTP_X_REQUEST_ID"]

    assert id_seen(**{"X-Request-ID": "req_from-the.caller"}) == "req_from-the.caller"
    made = {id_seen(), id_seen(**{"X-Request-ID": "two words"}), id_seen(**{"X-Request-ID": "x" * 129})}
    assert len(made) == 3
    assert all(len(each) == 36 for each in made)


def test_tls_ends_at_the_proxy(server, tmp_path):
    file = certificate(tmp_path)
    port = free_port()
    tls = {"PROXY_CERTIFICATE": file, "PROXY_HTTPS_BIND": f"127.0.0.1:{port}"}
    with proxying(server.port, server.internal_port, **tls):
        seen = requests.get(f"https://localhost:{port}/", verify=file, timeout=PATIENCE).json()
    assert seen["wsgi.url_scheme"] == "https"


def test_slow_clients_do_not_reach_the_service(server, proxy):
    before = len(server.arrived())
    head = f"POST /io/wallet/deduct/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MEGABYTE}\r\n\r\n"
    with ExitStack() as stack:
        slow = []
        for number in range(250):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            one.sendall(head.encode()[: 40 if number < 200 else None])
            slow.append(one)
        for one in slow[200:]:
            one.sendall(b"x" * (MEGABYTE // 4))
        for drip in (b"x", b"y"):
            for one in slow:
                one.sendall(drip)
            assert ask(proxy, "GET", "/io/wallet/rates")[0].status_code == 200
        assert len(server.arrived()) == before + 2
        slow[-1].sendall(b"x" * (MEGABYTE - MEGABYTE // 4 - 2))
        slow[-1].settimeout(PATIENCE)
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 200")
        assert f'"body_bytes": {MEGABYTE}' in slow[-1].recv(10_000).decode()
    assert len(server.arrived()) == before + 3


def test_a_body_that_does_not_arrive_in_time_is_refused(server):
    head = b"POST /io/wallet/deduct HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    before = len(server.arrived())
    with (
        proxying(server.port, server.internal_port, PROXY_BODY_TIME="200ms") as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client,
    ):
        client.sendall(head)
        answer = b"".join(iter(lambda: client.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "allowed": False,
        "error": "The body did not arrive in time",
    }
    assert len(server.arrived()) == before


def answer_to(proxy: Proxy, head: str, body: bytes) -> bytes:
    """What the proxy answers to a request that ends with these bytes of its body, and then no more."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        client.sendall(head.encode() + body)
        return client.recv(10_000)


@pytest.mark.parametrize("framing", [f"Content-Length: {MEGABYTE}\r\n", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("where", ["headers", "url"])
def test_a_long_head_does_not_make_a_part_of_a_body_a_whole_one(server, proxy, framing, where):
    """The buffer would be full before the body is whole, and the service would wait for the rest."""
    before = len(server.arrived())
    query, headers = "", ""
    if where == "headers":
        headers = "".join(f"X-Long-{number}: {'x' * 8000}\r\n" for number in range(90))
    else:
        query = "?" + "x" * 700_000
    head = f"POST /io/wallet/deduct/batch{query} HTTP/1.1\r\nHost: localhost\r\n{headers}{framing}\r\n"
    answer = answer_to(proxy, head, b"100000\r\n" + b"x" * (MEGABYTE // 10 * 4))
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"x-request-id" in answer.lower()
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "allowed": False,
        "error": "The head of the request is too large",
        "code": "too_large",
    }
    assert len(server.arrived()) == before


def test_the_longest_head_leaves_room_for_the_longest_body(proxy):
    headers = {f"X-Long-{number}": "x" * 1000 for number in range(30)}
    url = f"{proxy.url}/io/wallet/deduct/batch?{'x' * 3000}"
    answer = requests.post(url, b"x" * MEGABYTE, headers=headers, timeout=PATIENCE)
    assert answer.json()["body_bytes"] == MEGABYTE


def test_one_client_cannot_take_all_buffers(server):
    """Without a free buffer the proxy answers no client, and takes the service for dead."""
    start = b"POST /io/wallet/deduct HTTP/1.1\r\nHost: localhost\r\n"
    with proxying(server.port, server.internal_port) as proxy, ExitStack() as stack:
        for number in range(900):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            with suppress(ConnectionError):
                slow.sendall(start + (b"Content-Length: 1000\r\n\r\n{" if number % 2 else b"X-Slow: "))
        other = ("127.0.0.1", proxy.port), PATIENCE, ("127.0.0.2", 0)
        began = time.monotonic()
        with socket.create_connection(*other) as client:
            client.sendall(b"GET /io/wallet/rates HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 4  # The slow heads would end after five seconds.
        assert proxy.is_up("one")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_one_connection_of_http2_cannot_take_all_buffers(server):
    fields = {":method": "POST", ":scheme": "http", ":path": "/io/wallet/deduct", ":authority": "localhost"}
    head = b"".join(  # Each as a literal without an index.
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in (fields | {"content-length": "1000"}).items()
    )
    with (
        proxying(server.port, server.internal_port, PROXY_CONNECTIONS_PER_CLIENT="5") as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client,
    ):
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        for stream in range(1, 17, 2):  # Eight requests; none sends its whole body.
            client.sendall(frame(1, 4, stream, head) + frame(0, 0, stream, b"{"))
        answered = b""
        while answered.count(BUSY.encode()) < 3:
            answered += client.recv(10_000)
        client.sendall(frame(6, 0, 0, b"the end."))  # A ping: what comes before its answer is all there is.
        while b"the end." not in answered:
            answered += client.recv(10_000)
        assert answered.count(BUSY.encode()) == 3


def test_the_log_of_the_proxy_names_no_address_of_a_person(server, tmp_path):
    log = tmp_path / "log"
    start = b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    paths = (
        b"/of/ada@example.com/x",
        b"/of/ada%40example.com/x",
        b"/of/ada%2540example.com/x?a=ada@example.com",
    )
    with proxying(server.port, server.internal_port, log=log, PROXY_BODY_TIME="100ms") as proxy:
        for path in paths:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
                client.sendall(b"POST " + path + start)
                assert client.recv(100).startswith(b"HTTP/1.1 408")
        eventually(lambda: log.read_text().count('"event":"proxy"') == len(paths))
    logged = [json.loads(line) for line in log.read_text().splitlines() if '"event":"proxy"' in line]
    assert [each["path"] for each in logged] == ["/of/-/x"] * 3


@pytest.mark.parametrize("length_is_known", [True, False])
def test_a_body_that_is_too_large_is_refused(proxy, length_is_known):
    body = b"x" * (MEGABYTE + 1)
    data = body if length_is_known else iter([body[:1000], body[1000:]])
    answer = requests.post(f"{proxy.url}/io/wallet/deduct/batch", data, timeout=PATIENCE)
    assert answer.status_code == 413
    assert answer.json() == {"allowed": False, "error": "The body is too large", "code": "too_large"}


def test_nothing_is_smuggled_past_the_proxy(server, proxy):
    before = {path.name for path in server.folder.glob("arrived-*")}
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    start = b"POST /io/wallet/deduct HTTP/1.1\r\nHost: localhost\r\n"
    for framing in (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content_Length: %d\r\nTransfer_Encoding: chunked\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
            client.sendall(start + framing % (len(smuggled) + 5) + smuggled)
            assert client.recv(100).startswith(b"HTTP/1.")
    new = [path for path in server.folder.glob("arrived-*") if path.name not in before]
    # Each request that the service has seen is one that the proxy has seen.
    assert all(json.loads(path.read_text())["HTTP_X_FORWARDED_FOR"] == "127.0.0.1" for path in new)
