"""After `maintenance begin` has returned, no process accepts a change, and what ran has ended."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection

from accounts import maintenance
from tests import databases
from tests.callers import calling
from tests.crowd import begin, second_connection
from tests.deployment import Deployment, eventually
from tests.misar_billing.test_maintenance import WHY, run
from tests.misar_billing.test_maintenance import at_once as at_once
from tests.misar_billing.test_maintenance import forgotten as forgotten
from wallet.models import Entry

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CALLERS = 6


@contextmanager
def tidying(log, **environment):
    """`tidy --watch` on the database of this test."""
    environment = os.environ | {"DATABASE_URL": databases.url()} | environment
    command = [sys.executable, "manage.py", "tidy", "--watch", "--every", "1"]
    with log.open("wb") as file:
        started = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=file, stderr=file)
    try:
        yield log
    finally:
        started.terminate()
        assert started.wait(timeout=120) == 0, log.read_text()


def test_two_processes_under_load_accept_nothing_after_it_has_begun(tmp_path, service_key, monkeypatch):
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 1.0)
    monkeypatch.setattr(maintenance, "REQUEST_SECONDS_MAX", 3.0)  # There are no batches here.
    deployment = Deployment(tmp_path)
    deployment.service_key = service_key
    deployment.environment |= {"DATABASE_URL": databases.url(), "WEB_THREADS": "4", "LIMITS_TIMES": "1"}
    with (
        deployment.serving(),
        tidying(tmp_path / "tidy.log", HEARTBEAT_FILE=str(tmp_path / "alive")) as log,
        calling(deployment, CALLERS) as callers,
    ):
        eventually(lambda: callers.have_each(since=0))
        try:
            code, said, _ = run("begin", WHY)
            assert (code, "No change is accepted any more." in said) == (0, True)
            charges, since = charges_now(), time.monotonic()
            eventually(lambda: callers.have_each(since=since, acknowledged=False))
            assert charges_now() == charges
            answers = {(each.status, each.body["allowed"]) for each in callers.answers(since)}
            assert answers == {(503, False)}
            eventually(lambda: f"Resting, because changes are paused: {WHY}" in log.read_text())
            assert (tmp_path / "alive").exists()
        finally:
            run("end")
        since = time.monotonic()
        eventually(lambda: callers.have_each(since=since))
    assert len(callers.acknowledged()) == charges_now()
    assert {answer.status for answer in callers.answers()} == {200, 503}


def charges_now() -> int:
    return Entry.objects.filter(kind=Entry.Kind.DEDUCT).count()


def test_it_waits_for_a_transaction_that_has_written_and_names_it(at_once, give):
    give("usr_1", 5)
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE wallet_wallet SET frozen = frozen")
        code, said, trouble = run("begin", WHY, "--wait", "0")
        assert (code, "No change is accepted any more" in said) == (1, False)
        assert f"process {other.connection.info.backend_pid} of " in trouble
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
