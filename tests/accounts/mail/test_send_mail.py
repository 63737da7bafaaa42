"""The command that sends the mail: once, or for ever."""

import os
import signal
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from accounts.mail import outbox
from accounts.management.commands.send_mail import Command
from accounts.models import OutgoingMail
from sandbox.environment import free_port
from tests import databases
from tests.accounts.mail import mail_server
from tests.deployment import eventually
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True


@pytest.fixture
def anna(db):
    return UserFactory.create(misar_id="usr_anna")


def queue(user, fact="receipt:top_1"):
    outbox.queue(
        user=user,
        to=user.email,
        kind="receipt",
        fact=fact,
        subject="A receipt",
        template="wallet/mail/receipt",
        context={},
    )


# --- Once -------------------------------------------------------------------------------------------


def send_mail():
    """The exit code and what was said."""
    out = StringIO()
    try:
        call_command("send_mail", stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    except CommandError as refusal:
        return refusal.returncode, str(refusal)
    return 0, out.getvalue()


def test_the_command_sends_what_is_due_and_says_so(anna):
    queue(anna)
    assert send_mail() == (0, "1 sent, 0 failed, 0 given up\n")
    assert send_mail() == (0, "0 sent, 0 failed, 0 given up\n")


def test_the_command_ends_with_1_when_something_failed(anna):
    queue(anna)
    # A mail that no server is ever asked to take.
    OutgoingMail.objects.create(
        kind="receipt", fact="receipt:broken", to=anna.email, subject="a\nBcc: eve@example.com"
    )
    assert send_mail() == (1, "1 sent, 1 failed, 0 given up\n")


def test_the_command_ends_with_1_when_something_could_not_be_written(anna, monkeypatch):
    writers = [lambda go_on: outbox.Written(1, 0), lambda go_on: outbox.Written(0, 2)]
    monkeypatch.setattr(outbox, "WRITERS", writers)
    assert send_mail() == (1, "0 sent, 0 failed, 0 given up, 2 not written\n")


def test_a_writer_that_cannot_read_does_not_keep_the_mail_that_waits(anna, monkeypatch):
    queue(anna)

    def times_out(go_on):
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(outbox, "WRITERS", [times_out])
    command = Command()
    with pytest.raises(OperationalError):
        command.work()
    assert command.work().sentence == "1 sent, 0 failed, 0 given up"


def test_the_command_says_that_mail_is_off(settings):
    settings.MAIL_ENABLED = False
    assert send_mail() == (2, "Mail is off: EMAIL_URL is not set.")


# --- For ever ---------------------------------------------------------------------------------------


class Watcher:
    """`send_mail --watch` as a process of its own."""

    def __init__(self, folder, **environment):
        self.log = folder / "watch.log"
        command = [sys.executable, "manage.py", "send_mail", "--watch", "--every", "1"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT
            )

    def said(self, words):
        return words in self.log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


@pytest.fixture
def watch(tmp_path):
    begun = []

    def begin(**environment):
        begun.append(Watcher(tmp_path, **environment))
        return begun[-1]

    yield begin
    for watcher in begun:
        if watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.wait(timeout=120)


@pytest.fixture
def smtp():
    with mail_server.serving() as server:
        yield server


@pytest.mark.django_db(transaction=True)
def test_a_watcher_sends_survives_a_lost_connection_and_ends_on_sigterm(anna, smtp, watch):
    host, port = smtp.address
    watcher = watch(EMAIL_URL=f"smtp://{host}:{port}", DATABASE_URL=databases.url())
    queue(anna, fact="receipt:top_1")
    # Recorded as sent, and the round is over: a connection lost before that would delay the mail or its line.
    eventually(lambda: OutgoingMail.objects.filter(state="sent").count() == 1)
    eventually(lambda: watcher.log.read_text().count("1 sent, 0 failed, 0 given up") == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            # Until it has ended: a mail that was claimed by then would wait for its claim to run out.
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    queue(anna, fact="receipt:top_2")
    eventually(lambda: len(smtp.taken) == 2)
    eventually(lambda: watcher.log.read_text().count("1 sent, 0 failed, 0 given up") == 2)
    assert watcher.stop() == 0


def test_a_watcher_waits_for_a_database_that_is_not_there(watch):
    unreachable = f"postgres://nobody@127.0.0.1:{free_port()}/nothing"
    watcher = watch(EMAIL_URL="consolemail://", DATABASE_URL=unreachable)
    eventually(lambda: watcher.said("The database cannot be used, trying again: connection "))
    assert watcher.stop() == 0
    assert not watcher.said("Traceback")
