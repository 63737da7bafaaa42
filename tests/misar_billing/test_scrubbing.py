"""What is taken out of a text before it is logged."""

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.models import User
from misar_billing import gunicorn_conf
from misar_billing.scrubbing import REMOVED, message_of, scrubbed, traceback_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a mail for ada@example.com waits", f"a mail for {REMOVED} waits"),
        ("Ada <ada+x@sub.example.com>, b@x.io", f"Ada <{REMOVED}>, {REMOVED}"),
        ("ada@bücher.example", REMOVED),
        ("/admin/user/ada@example.com/", f"/admin/user/{REMOVED}/"),
        ("mailto:ada%40example.com", f"mailto:{REMOVED}"),
        ("/x/ada%2540example.com/y", f"/x/{REMOVED}/y"),
        ("GET /admin/find?q=ada HTTP/1.1", "GET /admin/find HTTP/1.1"),
        ("https://misar.io/x?session=1#y", "https://misar.io/x"),
        ("postgres://billing:pa$$@db.internal:5432/b", f"postgres://{REMOVED}@db.internal:5432/b"),
        ("smtp+tls://user:p%40ss@mail.example.com:587", f"smtp+tls://{REMOVED}@mail.example.com:587"),
        (f"Authorization: Bearer {JWT}", f"Authorization: Bearer {REMOVED}"),
        ("bearer abc123", f"bearer {REMOVED}"),
        ("Basic YWRhOnBhc3M=", f"Basic {REMOVED}"),
        (f"the token {JWT}", f"the token {REMOVED}"),
        ("wsk_0a1b msk_0a1b whsec_0a1b.c", f"{REMOVED} {REMOVED} {REMOVED}"),
        ("key%3Dmsk_0a1b, %22sk_live_1a2b%22", f"key%3D{REMOVED}, %22{REMOVED}%22"),
        (f"my_msk_{'0a1b' * 16}.", f"my_{REMOVED}."),
        ("sk_live_1a2b rk_test_1a2b pk_live_1a", f"{REMOVED} {REMOVED} {REMOVED}"),
        ("no\nDETAIL:  Key (name)=(Ada\nLovelace) exists.\nHINT:  no", "no\nHINT:  no"),
        ("no\nDETAIL:  Failing row contains (1, Ada).", "no"),
    ],
)
def test_secrets_and_addresses_are_taken_out(text, left):
    assert scrubbed(text) == left


@pytest.mark.parametrize(
    "text",
    [
        gunicorn_conf.NO_PROXY,
        gunicorn_conf.NO_SSO,
        "Stripe event evt_1 is parked: It is not in US dollars; what now?",
        "Listening at: http://127.0.0.1:8000 (12)",
        "a request of task_force_one for 3 @ 5",
        "Charges of one wallet could not be made together",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert scrubbed(text) == text


def test_a_long_text_takes_no_long_time():
    """A pattern that tries each pair of places in a text would take minutes here."""
    for text in ("a" * 100_000 + "@", "/a" * 8_000 + "@", "://" * 8_000 + "@", "a%40" * 8_000):
        assert "a@example" not in scrubbed(f"{text} a@example.com")


def refused(values: str) -> DatabaseError:
    """The error of PostgreSQL for a user whose id is there already."""
    with pytest.raises(IntegrityError) as raised, transaction.atomic():
        User.objects.bulk_create([User(misar_id=values), User(misar_id=values)])
    return raised.value


@pytest.mark.django_db
def test_an_error_of_the_database_tells_no_values_of_the_row():
    error = refused("Ada Lovelace")
    assert "Ada Lovelace" in str(error)
    assert message_of(error).startswith("duplicate key value violates unique constraint")
    told = traceback_of(error)
    assert "Ada Lovelace" not in told
    assert "psycopg.errors.UniqueViolation: duplicate key" in told
    assert "django.db.utils.IntegrityError: duplicate key" in told


def test_a_traceback_has_all_errors_and_no_values():
    def fail(secret: str) -> None:
        try:
            raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("second for ada@example.com") from error

    with pytest.raises(RuntimeError) as raised:
        fail("a secret of a variable")
    told = traceback_of(raised.value)
    assert told.index("ValueError: first") < told.index(f"RuntimeError: second for {REMOVED}")
    assert "a secret of a variable" not in told.replace('fail("a secret of a variable")', "")
    assert raised.value.__cause__ is not None
    raised.value.__cause__.__cause__ = raised.value  # A circle must not stop the log.
    assert traceback_of(raised.value)


@pytest.mark.django_db
def test_a_lost_connection_is_named_without_a_password():
    params = connection.get_connection_params() | {"password": "pa55word", "dbname": "there-is-none"}
    kept = {
        name: value
        for name, value in params.items()
        if name in ("host", "port", "user", "password", "dbname")
    }
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect(**kept)
    assert "there-is-none" in message_of(raised.value)
    assert "pa55word" not in message_of(raised.value)
