"""The time of a whole request, as gunicorn hands it over: its body, its deadline, its answer."""

import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import connection

from foundation import deadlines
from misar_billing import bodies
from misar_billing.wsgi import application
from tests.conftest import Caller

# How late each answer of the database comes.
LATE = 0.25
# A session must be looked up for it.
COOKIE = "sessionid=" + "x" * 32


def served(path, *, body=b"", method="POST", input=None, **environ):
    """The status and the body of an answer, as gunicorn would get it."""
    status = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": "testserver",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": input or io.BytesIO(body),
    } | environ
    setup_testing_defaults(environ)
    answer: Any = application(environ, lambda line, headers, exc_info=None: status.append(line))
    content = b"".join(answer)
    answer.close()
    return int(status[0].split()[0]), content


@contextmanager
def late_database():
    """Each answer of the database comes LATE seconds later than usual."""
    where = connection.settings_dict
    connection.ensure_connection()
    info = connection.connection.info
    server = info.host, info.port
    kept = where["HOST"], where["PORT"]
    connection.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_forward_all, args=(listener, *server), daemon=True).start()
        where["HOST"], where["PORT"] = listener.getsockname()
        try:
            yield
        finally:
            connection.close()
            where["HOST"], where["PORT"] = kept
            listener.shutdown(socket.SHUT_RDWR)


def _forward_all(listener, host, port):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
        else:
            server = socket.create_connection((host, port))
        for source, target, late in ((client, server, 0), (server, client, LATE)):
            threading.Thread(target=_forward, args=(source, target, late), daemon=True).start()


def _forward(source, target, late):
    try:
        while data := source.recv(65536):
            time.sleep(late)
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        end.close()


def deduct(service_key, key):
    work = {"user_id": "usr_1", "feature": "blog.article.generate", "idempotency_key": key}
    status, content = served(
        "/io/wallet/deduct",
        body=json.dumps(work).encode(),
        HTTP_X_WALLET_SERVICE_KEY=service_key,
    )
    return status, json.loads(content)


@pytest.mark.django_db(transaction=True)
def test_waits_that_are_in_time_one_by_one_are_not_in_time_together(
    give, article_rate, service_key, monkeypatch
):
    give("usr_1", 10)
    with late_database():
        monkeypatch.setattr(deadlines, "REQUEST_SECONDS", 3600)
        assert deduct(service_key, "patient")[0] == 200
        connection.close()
        monkeypatch.setattr(deadlines, "REQUEST_SECONDS", 1.5 * LATE)
        assert deduct(service_key, "hurried") == (
            503,
            {"allowed": False, "error": "The ledger cannot be reached right now; please try again."},
        )
    assert deadlines.seconds_left() is None
    monkeypatch.setattr(deadlines, "REQUEST_SECONDS", 3600)
    assert Caller({"x-wallet-service-key": service_key}).get(
        "/io/wallet/balance", user_id="usr_1"
    ).json() == {"credits": 9}


@pytest.mark.django_db(transaction=True)
def test_staff_have_more_time_for_their_pages(monkeypatch):
    monkeypatch.setattr(deadlines, "REQUEST_SECONDS", -1)
    monkeypatch.setattr(deadlines, "STAFF_PAGE_SECONDS", 3600)
    assert served("/wallet", method="GET", HTTP_COOKIE=COOKIE)[0] == 503
    assert served("/admin/", method="GET", HTTP_COOKIE=COOKIE)[0] == 302


@pytest.mark.django_db(transaction=True)
def test_a_page_without_its_database_says_so_and_when_to_come_again(monkeypatch):
    monkeypatch.setattr(deadlines, "REQUEST_SECONDS", -1)
    status, content = served("/wallet", method="GET", HTTP_COOKIE=COOKIE)
    assert status == 503
    assert b"We cannot reach our records right now." in content
    assert b"Traceback" not in content


# --- Bodies ------------------------------------------------------------------------------------------


@contextmanager
def dripping(pieces, *, every):
    """A connection on which a client sends pieces of a body, as a reader and as gunicorn gives it to us."""
    client, ours = socket.socketpair()
    stop = threading.Event()

    def drip():
        for piece in pieces:
            if stop.wait(every):
                return
            try:
                client.sendall(piece)
            except OSError:
                return

    sender = threading.Thread(target=drip)
    sender.start()
    try:
        with ours, ours.makefile("rb") as reader:
            yield ours, reader
    finally:
        stop.set()
        sender.join()
        client.close()


def read(ours, reader, length):
    environ: dict[str, Any] = {"wsgi.input": reader, "CONTENT_LENGTH": str(length), "gunicorn.socket": ours}
    bodies.read_whole(environ)
    return environ


def test_a_body_in_pieces_is_read_whole(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 3600)
    with dripping([b"abc"] * 4, every=0.01) as (ours, reader):
        environ = read(ours, reader, 12)
    assert environ["wsgi.input"].read() == b"abc" * 4
    assert environ["CONTENT_LENGTH"] == "12"


def test_a_body_that_drips_is_cut_off_though_its_client_is_never_silent(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.3)
    with dripping([b"x"] * 10_000, every=0.05) as (ours, reader):
        environ = read(ours, reader, 10_000)
    with pytest.raises(OSError, match="did not arrive"):
        environ["wsgi.input"].read()
    assert not bodies._reading


def test_a_body_that_ends_too_soon_is_not_taken_for_a_whole_one():
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(b"{}"), "CONTENT_LENGTH": "10"}
    bodies.read_whole(environ)
    with pytest.raises(OSError, match="did not arrive"):
        environ["wsgi.input"].read()


@pytest.mark.parametrize("length", ["", "0", "-1", "abc", str(bodies.BODY_BYTES_MAX + 1)])
def test_a_body_that_nothing_may_read_is_left_alone(length):
    unread = io.BytesIO(b"some")
    environ = {"wsgi.input": unread, "CONTENT_LENGTH": length}
    bodies.read_whole(environ)
    assert environ == {"wsgi.input": unread, "CONTENT_LENGTH": length}
    assert unread.tell() == 0
