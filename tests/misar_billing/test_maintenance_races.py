"""After `maintenance begin` has returned, no process accepts a change, and what ran has ended."""

import os
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest
import requests
from django.conf import settings
from django.db import connection

from accounts import maintenance
from sandbox.environment import free_port
from tests.accounts.mail.test_send_mail import url_of_the_test_database
from tests.crowd import begin, second_connection
from tests.deployment import eventually
from tests.misar_billing.test_maintenance import WHY, run
from wallet.models import Entry

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CALLERS = 6


@pytest.fixture(autouse=True)
def forgotten():
    yield
    maintenance.remember(None)


@contextmanager
def process(log, *command, **environment):
    environment = os.environ | {"DATABASE_URL": url_of_the_test_database()} | environment
    with log.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, *command], cwd=settings.BASE_DIR, env=environment, stdout=file, stderr=file
        )
    try:
        yield started
    finally:
        started.terminate()
        assert started.wait(timeout=120) == 0, log.read_text()


class Caller(threading.Thread):
    """A caller of its own thread, who charges again and again, and keeps each answer."""

    def __init__(self, url, service_key, name):
        super().__init__(daemon=True)
        self.url, self.headers, self.caller = url, {"x-wallet-service-key": service_key}, name
        self.answers = []
        self.is_over = False

    def run(self):
        with requests.Session() as session:
            while not self.is_over:
                body = {
                    "user_id": self.caller,
                    "feature": "blog.article.generate",
                    "idempotency_key": f"{self.caller}:{len(self.answers)}",
                }
                answer = session.post(
                    f"{self.url}/io/wallet/deduct", json=body, headers=self.headers, timeout=120
                )
                self.answers.append((answer.status_code, answer.json().get("allowed")))


def test_two_processes_under_load_accept_nothing_after_it_has_begun(
    tmp_path, give, article_rate, service_key, monkeypatch
):
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 1.0)
    monkeypatch.setattr(maintenance, "REQUEST_SECONDS_MAX", 3.0)  # There are no batches here.
    for number in range(CALLERS):
        give(f"usr_{number}", 100_000)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = ("-m", "gunicorn", "--config", "python:misar_billing.gunicorn_conf", "misar_billing.wsgi")
    tidy = ("manage.py", "tidy", "--watch", "--every", "1")
    environment = {"PORT": str(port), "ALLOWED_HOSTS": "127.0.0.1", "WEB_WORKERS": "2", "WEB_THREADS": "4"}
    callers = [Caller(url, service_key, f"usr_{number}") for number in range(CALLERS)]
    alive = {"HEARTBEAT_FILE": str(tmp_path / "alive")}
    with ExitStack() as stack:
        stack.enter_context(process(tmp_path / "web.log", *web, **environment))
        stack.enter_context(process(tmp_path / "tidy.log", *tidy, **alive))
        eventually(lambda: is_serving(url))
        stack.enter_context(calling(callers))
        eventually(lambda: all(len(caller.answers) > 5 for caller in callers))
        code, said, _ = run("begin", WHY)
        assert (code, "No change is accepted any more." in said) == (0, True)
        charges, answered = charges_now(), [len(caller.answers) for caller in callers]
        eventually(
            lambda: all(len(c.answers) > count + 5 for c, count in zip(callers, answered, strict=True))
        )
        assert charges_now() == charges
        eventually(
            lambda: f"Resting, because changes are paused: {WHY}" in (tmp_path / "tidy.log").read_text()
        )
        assert (tmp_path / "alive").exists()
        # One answer of each caller may have been on its way when the command returned.
        for caller, count in zip(callers, answered, strict=True):
            assert set(caller.answers[count + 1 :]) == {(503, False)}
        run("end")
        before = [len(caller.answers) for caller in callers]
        eventually(lambda: all((200, True) in c.answers[n:] for c, n in zip(callers, before, strict=True)))
    acknowledged = sum(caller.answers.count((200, True)) for caller in callers)
    assert acknowledged == charges_now()
    assert {answer for caller in callers for answer in caller.answers} == {(200, True), (503, False)}


@contextmanager
def calling(callers):
    """Let the callers charge until the end of the block."""
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        for caller in callers:
            caller.is_over = True
        for caller in callers:
            caller.join(timeout=120)


def is_serving(url):
    try:
        return requests.get(f"{url}/health", timeout=120).ok
    except requests.ConnectionError:
        return False


def charges_now() -> int:
    return Entry.objects.filter(kind=Entry.Kind.DEDUCT).count()


@pytest.fixture
def at_once(monkeypatch):
    """No request runs in these tests."""
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 0)
    monkeypatch.setattr(maintenance, "REQUEST_SECONDS_MAX", 0)


def test_it_waits_for_a_transaction_that_has_written_and_names_it(at_once, give):
    give("usr_1", 5)
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE wallet_wallet SET frozen = frozen")
        code, said, trouble = run("begin", WHY, "--wait", "0")
        assert (code, "No change is accepted any more" in said) == (1, False)
        assert f"process {other.connection.info.backend_pid} of PostgreSQL" in trouble
        cursor.execute("COMMIT")
        assert run("begin", WHY, "--wait", "0")[0] == 0


def test_it_waits_for_a_round_of_background_work_that_began_before(at_once):
    inside, may_end = threading.Event(), threading.Event()

    def work():
        with maintenance.round_of_work() as reason:
            inside.set()
            assert may_end.wait(timeout=120)
            return reason

    round_of_before = begin(work)
    assert inside.wait(timeout=120)
    code, _, trouble = run("begin", WHY, "--wait", "0")
    assert (code, "background work" in trouble) == (1, True)
    waiting = begin(lambda: run("begin", WHY))
    assert not waiting.done()
    may_end.set()
    assert waiting.result(timeout=120)[0] == 0
    assert round_of_before.result(timeout=120) is None
    with maintenance.round_of_work() as reason:
        assert reason == WHY


def test_a_round_whose_connection_is_lost_leaves_no_lock(at_once):
    with maintenance.round_of_work():
        with second_connection() as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.connection.info.backend_pid])
        connection.close()
    assert run("begin", WHY, "--wait", "0")[0] == 0
