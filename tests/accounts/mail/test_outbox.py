"""Mail: written with its event, sent once, given up at last, and isolated from its caller."""

import logging
import time
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from accounts.mail import outbox
from accounts.mail.outbox import Outcome
from accounts.models import OutgoingMail, User
from foundation.text import is_printable
from tests.accounts.mail import mail_server
from tests.crowd import at_once, begin, second_connection
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

ADDRESS = "anna@example.com"
State = OutgoingMail.State


@pytest.fixture(autouse=True)
def mail_is_on(settings):
    settings.MAIL_ENABLED = True
    mail.outbox = []


@pytest.fixture
def anna(db):
    return UserFactory.create(misar_id="usr_anna", email=ADDRESS)


@pytest.fixture
def smtp(settings):
    """A real mail server, with the settings to reach it."""
    with mail_server.serving() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.address
        settings.EMAIL_TIMEOUT = mail_server.HANG_SECONDS_MAX
        yield server


CONTEXT = {"paid": "$25.00", "credits": "25 Misar credits", "month": "2026-11", "month_name": "November 2026"}


def queue(user=None, to=ADDRESS, fact="receipt:top_1", subject="A receipt", **changes):
    asked = {"kind": "receipt", "template": "wallet/mail/receipt", "context": CONTEXT} | changes
    outbox.queue(user=user, to=to, fact=fact, subject=subject, **asked)


def due_again():
    """Make every waiting mail due now."""
    OutgoingMail.objects.filter(state=State.WAITING).update(next_try_at=timezone.now())


def the_mail():
    return OutgoingMail.objects.get()


def broken_mail(fact="receipt:broken"):
    """A mail that fails before any server is reached."""
    return OutgoingMail.objects.create(
        kind="receipt", fact=fact, to=ADDRESS, subject="a\nBcc: eve@example.com"
    )


# --- Writing ----------------------------------------------------------------------------------------


def test_a_mail_waits_until_it_is_sent(anna):
    queue(anna)
    waiting = the_mail()
    assert (waiting.state, waiting.to, waiting.user) == (State.WAITING, ADDRESS, anna)
    assert "$25.00" in waiting.text
    assert "$25.00" in waiting.html
    assert mail.outbox == []


def test_a_transaction_that_is_rolled_back_mails_nothing(anna):
    with transaction.atomic():
        queue(anna)
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()


def test_the_same_fact_is_mailed_once(anna):
    queue(anna)
    queue(anna, subject="Another")
    assert the_mail().subject == "A receipt"
    outbox.send_due(10)
    queue(anna)
    outbox.send_due(10)
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_fact_at_once_is_mailed_once(anna):
    at_once([lambda: queue(anna)] * 6)
    assert OutgoingMail.objects.count() == 1


def test_nothing_is_written_where_mail_is_off(anna, settings, django_assert_num_queries):
    settings.MAIL_ENABLED = False
    with django_assert_num_queries(0):
        queue(anna)
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@b", "anna@example.com\nBcc: eve@example.com", "a@x.co, b@x.co"]
)
def test_nothing_is_written_without_a_usable_address(anna, to):
    queue(anna, to=to)
    assert not OutgoingMail.objects.exists()


def test_an_address_without_a_user_can_be_written_to(db):
    queue(None)
    assert outbox.send_due(10).sent == 1


def test_a_mail_goes_with_its_user(anna):
    queue(anna)
    anna.delete()
    assert not OutgoingMail.objects.exists()


# --- Hostile text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        "Receipt\nBcc: eve@example.com",
        "Receipt\r\nBcc: eve@example.com",
        "Receipt\x00\x0b\x0c\x1c\x85\u2028Bcc: eve@example.com",
    ],
)
def test_a_subject_is_one_line(anna, smtp, subject):
    queue(anna, subject=subject)
    assert outbox.send_due(10).sent == 1
    (taken,) = smtp.taken
    assert taken["Subject"] == "Receipt Bcc: eve@example.com"
    assert taken["Bcc"] is None


def test_a_subject_is_bounded_and_hides_nothing(anna):
    queue(anna, subject="\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 1000)
    subject = the_mail().subject
    assert len(subject) == 200
    assert is_printable(subject)
    assert subject.endswith("x…")


def test_hostile_text_is_text(anna, smtp):
    name = "<script>alert(1)</script>\x00 {{ public_url }} 'o\ud800"
    queue(anna, context=CONTEXT | {"product": name})
    assert outbox.send_due(10).sent == 1
    (taken,) = smtp.taken
    text, html = (taken.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert "Bought in: <script>alert(1)</script> {{ public_url }} 'o?" in text
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ public_url }} &#x27;o?" in html


# --- Isolated ---------------------------------------------------------------------------------------


def without_templates(settings):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [], "APP_DIRS": False}]


def test_a_missing_template_does_not_stop_the_caller(anna, settings, caplog):
    without_templates(settings)
    with transaction.atomic():
        UserFactory.create(misar_id="usr_beside")
        queue(anna)
    assert User.objects.filter(pk="usr_beside").exists()
    assert not OutgoingMail.objects.exists()
    assert "A mail was not written: TemplateDoesNotExist" in caplog.text
    assert ADDRESS not in caplog.text


def test_a_mail_that_the_database_refuses_does_not_stop_the_caller(anna, caplog):
    with transaction.atomic():
        UserFactory.create(misar_id="usr_beside")
        queue(anna, fact="x" * 1000)
    assert User.objects.filter(pk="usr_beside").exists()
    assert "A mail was not written: DataError" in caplog.text
    assert ADDRESS not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_lost_transaction_raises_in_its_caller(anna):
    def lose_it():
        with transaction.atomic():
            UserFactory.create(misar_id="usr_beside")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (pid,) = cursor.fetchone()
            with second_connection() as other, other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            queue(anna)

    with pytest.raises(OperationalError):
        lose_it()
    connection.close()
    assert not User.objects.filter(pk="usr_beside").exists()


# --- Switches ---------------------------------------------------------------------------------------


def test_what_is_switched_off_is_not_written(anna):
    outbox.set_switches(anna, set())
    queue(anna)
    assert not OutgoingMail.objects.exists()


def test_what_is_switched_off_in_between_is_not_sent(anna):
    queue(anna)
    queue(None, fact="receipt:top_2", to="other@example.com")
    outbox.set_switches(anna, set())
    assert outbox.send_due(10) == Outcome(sent=1, failed=0, given_up=0, waiting=0)
    assert [each.to for each in mail.outbox] == [["other@example.com"]]
    dropped = OutgoingMail.objects.get(fact="receipt:top_1")
    assert (dropped.state, dropped.to, dropped.text) == (State.DROPPED, "", "")


# --- Sending ----------------------------------------------------------------------------------------


def test_a_mail_over_real_smtp(anna, smtp, settings):
    queue(anna)
    row = the_mail()
    assert outbox.send_due(10) == Outcome(sent=1, failed=0, given_up=0, waiting=0)
    (taken,) = smtp.taken
    assert taken["To"] == ADDRESS
    assert taken["From"] == settings.DEFAULT_FROM_EMAIL
    assert taken["Message-ID"] == f"<{row.pk}@misar.io>"
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken["List-Unsubscribe"] == "<http://testserver/account>"
    assert taken.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in taken.iter_parts()] == ["text/plain", "text/html"]
    assert "http://testserver/account" in taken.get_body(["plain"]).get_content()


def test_what_was_sent_leaves_no_address_and_no_words(anna):
    queue(anna)
    outbox.send_due(10)
    sent = the_mail()
    assert (sent.to, sent.subject, sent.text, sent.html, sent.last_error) == ("", "", "", "", "")
    assert (sent.kind, sent.fact, sent.state, sent.tries) == ("receipt", "receipt:top_1", State.SENT, 1)
    assert sent.sent_at is not None


def test_the_database_itself_keeps_no_words_of_an_ended_mail(anna):
    queue(anna)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutgoingMail.objects.update(state=State.SENT, sent_at=timezone.now())


def test_many_go_over_one_connection(anna, smtp):
    for number in range(5):
        queue(anna, fact=f"receipt:top_{number}")
    assert outbox.send_due(10).sent == 5
    assert smtp.connections == 1


def test_a_round_has_a_limit_and_oldest_go_first(anna):
    for number in range(3):
        queue(anna, fact=f"receipt:top_{number}", subject=f"{number}")
    assert outbox.send_due(2) == Outcome(sent=2, failed=0, given_up=0, waiting=1)
    assert [each.subject for each in mail.outbox] == ["0", "1"]
    assert outbox.send_due(2, go_on=lambda: False) == Outcome(sent=0, failed=0, given_up=0, waiting=1)


@pytest.mark.django_db(transaction=True)
def test_several_senders_send_each_mail_once(anna, smtp):
    for number in range(12):
        queue(anna, fact=f"receipt:top_{number}")
    outcomes = at_once([lambda: outbox.send_due(50)] * 4)
    assert sum(outcome.sent for outcome in outcomes) == 12
    assert len({taken["Message-ID"] for taken in smtp.taken}) == len(smtp.taken) == 12


def test_one_bad_mail_does_not_stop_the_others(anna):
    queue(anna, fact="receipt:top_1")
    broken_mail()
    queue(anna, fact="receipt:top_2")
    assert outbox.send_due(10) == Outcome(sent=2, failed=1, given_up=0, waiting=1)
    assert OutgoingMail.objects.get(state=State.WAITING).last_error == "BadHeaderError"


def test_a_refused_address_does_not_stop_the_others_and_is_not_quoted(anna, smtp, caplog):
    smtp.refused = {ADDRESS}
    queue(anna, fact="receipt:top_1")
    queue(None, fact="receipt:top_2", to="other@example.com")
    assert outbox.send_due(10) == Outcome(sent=1, failed=1, given_up=0, waiting=1)
    assert [taken["To"] for taken in smtp.taken] == ["other@example.com"]
    assert OutgoingMail.objects.get(state=State.WAITING).last_error == "SMTPRecipientsRefused 550 5.1.1"
    assert "SMTPRecipientsRefused 550 5.1.1" in caplog.text
    assert ADDRESS not in caplog.text


def test_a_server_that_hangs_up_on_one_does_not_stop_the_others(anna, smtp):
    smtp.hung_up_on = {ADDRESS}
    queue(anna, fact="receipt:top_1")
    queue(None, fact="receipt:top_2", to="other@example.com")
    assert outbox.send_due(10) == Outcome(sent=1, failed=1, given_up=0, waiting=1)
    assert smtp.connections == 2


def test_a_server_that_cannot_be_reached_ends_the_round(anna, smtp, caplog):
    smtp.away = True
    for number in range(3):
        queue(anna, fact=f"receipt:top_{number}")
    assert outbox.send_due(10) == Outcome(sent=0, failed=1, given_up=0, waiting=3)
    assert smtp.connections == 1
    assert OutgoingMail.objects.filter(tries=0).count() == 3  # Nothing was tried of the mails themselves.
    assert OutgoingMail.objects.get(last_error__gt="").last_error == "SMTPConnectError 421 4.3.2"
    assert ADDRESS not in caplog.text


def test_a_server_that_is_away_for_days_loses_no_mail(anna, smtp):
    queue(anna)
    smtp.away = True
    for _ in range(outbox.TRIES_MAX + 2):
        due_again()
        assert outbox.send_due(10).given_up == 0
    smtp.away = False
    due_again()
    assert outbox.send_due(10).sent == 1


def test_after_a_week_without_a_server_a_mail_is_given_up(anna, smtp):
    queue(anna)
    smtp.away = True
    due_again()
    OutgoingMail.objects.update(created_at=timezone.now() - outbox.WAITED_MAX)
    assert outbox.send_due(10).given_up == 1
    assert (the_mail().state, the_mail().to, the_mail().text) == (State.FAILED, "", "")


@pytest.mark.parametrize("command", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_is_silent_is_not_waited_for(anna, smtp, settings, command):
    settings.EMAIL_TIMEOUT = 1
    smtp.silent_at = command
    queue(anna)
    began = time.monotonic()
    assert outbox.send_due(10).failed == 1
    assert time.monotonic() - began < mail_server.HANG_SECONDS_MAX / 2
    assert the_mail().last_error in ("SMTPServerDisconnected", "TimeoutError")


@pytest.mark.django_db(transaction=True)
def test_no_row_is_locked_during_the_smtp_dialogue(anna, smtp):
    smtp.silent_at = "DATA"
    queue(anna)
    sending = begin(lambda: outbox.send_due(1))
    assert smtp.fell_silent.wait(mail_server.HANG_SECONDS_MAX)
    assert outbox.forget(ADDRESS) == 1
    assert not sending.done()  # The server is silent still.
    smtp.hangs_up.set()
    assert sending.result(timeout=120).failed == 1
    assert the_mail().state == State.DROPPED


# --- Trying again -----------------------------------------------------------------------------------


def test_a_mail_that_fails_waits_longer_each_time_and_is_given_up_at_last(anna, caplog):
    broken_mail()
    waits = []
    for _ in range(5):
        assert outbox.send_due(10).failed == 1
        waits.append(the_mail().next_try_at - timezone.now())
        assert outbox.send_due(10) == Outcome(sent=0, failed=0, given_up=0, waiting=1)  # Not yet.
        due_again()
    expected = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720)]
    assert all(
        abs(wait - wanted) < timedelta(seconds=10) for wait, wanted in zip(waits, expected, strict=True)
    )
    assert outbox.send_due(10) == Outcome(sent=0, failed=0, given_up=1, waiting=0)
    failed = the_mail()
    assert (failed.state, failed.tries, failed.to, failed.subject) == (State.FAILED, 6, "", "")
    assert failed.last_error == "BadHeaderError"
    assert "was given up after 6 tries" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_mail_that_failed_is_sent_later_with_the_same_message_id(anna, smtp):
    smtp.silent_at = "DATA"
    smtp.hangs_up.set()
    queue(anna)
    row = the_mail()
    outbox.send_due(10)
    smtp.silent_at = ""
    due_again()
    assert outbox.send_due(10).sent == 1
    assert smtp.taken[0]["Message-ID"].startswith(f"<{row.pk}@")
    assert the_mail().tries == 2


def test_a_mail_whose_sender_died_is_due_again_after_its_claim(anna):
    queue(anna)
    assert outbox._claim() is not None
    assert outbox.send_due(10).sent == 0
    again_in = the_mail().next_try_at - timezone.now()
    assert timedelta(minutes=4) < again_in <= outbox.CLAIM
    due_again()
    assert outbox.send_due(10).sent == 1


def test_a_sender_whose_claim_ran_out_changes_nothing(anna):
    queue(anna)
    slow = outbox._claim()
    assert slow is not None
    due_again()
    assert outbox.send_due(10).sent == 1
    outbox._record(slow, TimeoutError(), reached=True)
    assert (the_mail().state, the_mail().tries) == (State.SENT, 2)


# --- Forgetting -------------------------------------------------------------------------------------


def test_what_waits_for_an_address_is_forgotten_in_any_case(anna):
    queue(anna, to="Anna@Example.com", fact="receipt:top_1")
    queue(anna, fact="receipt:top_2")
    queue(None, to="hanna@example.com", fact="receipt:top_3")
    queue(None, to="anna@example.co", fact="receipt:top_4")
    assert outbox.forget("ANNA@example.com") == 2
    assert set(OutgoingMail.objects.filter(state=State.WAITING).values_list("to", flat=True)) == {
        "hanna@example.com",
        "anna@example.co",
    }
    assert not OutgoingMail.objects.filter(state=State.DROPPED).exclude(to="", text="", html="").exists()
    assert outbox.forget("") == 0


def test_a_fact_that_is_withdrawn_is_not_mailed(anna):
    for number in range(4):
        queue(anna, fact=f"receipt:top_{number}")
    outbox.send_due(1)
    assert outbox.withdraw(["receipt:top_0", "receipt:top_1", "receipt:top_2", "receipt:none"]) == 2
    assert OutgoingMail.objects.get(state=State.WAITING).fact == "receipt:top_3"
    assert not OutgoingMail.objects.filter(state=State.DROPPED).exclude(to="", text="", html="").exists()
    assert outbox.withdraw([]) == 0


def test_old_mails_are_pruned_and_waiting_ones_never(anna):
    for number in range(5):
        queue(anna, fact=f"receipt:top_{number}")
    outbox.send_due(2)
    outbox.forget(ADDRESS)
    queue(anna, fact="receipt:waits")
    assert outbox.prune() == 0
    long_ago = timezone.now() - timedelta(days=31)
    OutgoingMail.objects.update(created_at=long_ago)
    assert outbox.prune() == 0
    OutgoingMail.objects.filter(state=State.SENT).update(sent_at=long_ago)
    OutgoingMail.objects.filter(state=State.DROPPED).update(given_up_at=long_ago)
    assert outbox.prune() == 5
    assert the_mail().fact == "receipt:waits"


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("a@faß.de", "a@xn--fa-hia.de"),
        ("a@οδος.example", "a@xn--pxavbm.example"),
        ("Anna@Example.COM", "Anna@Example.COM"),
    ],
)
def test_a_mail_goes_to_the_domain_of_the_mailbox(anna, smtp, to, recipient):
    queue(anna, to=to)
    assert the_mail().to == to
    assert outbox.send_due(10).sent == 1
    assert smtp.recipients == [recipient]
    assert smtp.taken[0]["To"] == recipient
