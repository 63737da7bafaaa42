"""The last requests of API keys: what is recorded, never in the way of a request, and within limits."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
import requests
from django.db import connection
from django.test import Client

from accounts import api_keys, key_requests, maintenance
from accounts.models import ApiKey, KeyRequest
from demo.made_up_past import clock_at
from tests.conftest import Caller
from tests.crowd import at_once, second_connection
from tests.deployment import eventually
from tests.factories import UserFactory
from tests.monetization.conftest import SPONSORS, STATS, SUBSCRIPTIONS, TIP, TIP_BODY, caller_with
from tests.wallet.tidying import tidy

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
SECOND, INSTANT = timedelta(seconds=1), timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch):
    """Let this process have counted nothing, and not rest."""
    monkeypatch.setattr(key_requests, "_counted", type(key_requests._counted)())
    monkeypatch.setattr(key_requests, "_rests_until", float("-inf"))
    key_requests._waiting.clear()


@pytest.fixture
def owner(db):
    return UserFactory.create()


@pytest.fixture
def issued(owner):
    """A key that may only read, and its secret."""
    return api_keys.issue(owner=owner, name="mine", scopes=["read"])


def recorded(key: ApiKey) -> list[tuple[str, str, int]]:
    """The recorded requests of a key, newest first."""
    return [(row.method, row.path, row.status) for row in key_requests.recent(key)]


def seen(key: ApiKey | None, *, at: datetime = NOON, status: int = 200) -> KeyRequest:
    return KeyRequest(key=key, arrived_at=at, method="GET", path=STATS, status=status, request_id="req_1")


# --- What is recorded -------------------------------------------------------------------------------


def test_every_kind_of_answer_is_recorded(issued, settings, one_window):
    key, secret = issued
    caller = caller_with(secret)
    settings.CREATOR_REQUESTS_PER_MINUTE = 4
    caller.get(STATS)
    caller.post(TIP, TIP_BODY)
    caller.delete(f"{SPONSORS}/spn_1")
    caller.get("/v1/monetization/tipps")
    caller.patch(STATS, {})
    caller.get(f"{STATS}?limit=x")
    caller.get(STATS)
    assert recorded(key) == [
        ("GET", STATS, 429),
        ("GET", STATS, 200),
        ("PATCH", STATS, 405),
        ("GET", "/v1/monetization/tipps", 404),
        ("DELETE", f"{SPONSORS}/spn_1", 403),
        ("POST", TIP, 403),
        ("GET", STATS, 200),
    ]


def test_the_request_id_is_that_of_the_answer(issued):
    key, secret = issued
    answers = [caller_with(secret).get(STATS), Caller({"Authorization": f"Bearer {secret}"}).get(STATS)]
    sent = Client().get(STATS, headers={"Authorization": f"Bearer {secret}", "X-Request-ID": "my-job.7"})
    ids = [row.request_id for row in reversed(key_requests.recent(key))]
    assert ids == [*(answer["X-Request-ID"] for answer in answers), sent["X-Request-ID"]]
    assert ids[-1] == "my-job.7"


def test_neither_a_body_nor_a_query_is_kept(issued):
    key, secret = issued
    caller_with(secret).get(f"{SUBSCRIPTIONS}?search=reader@example.com&cursor={secret}")
    caller_with(secret).post(TIP, TIP_BODY)
    row = KeyRequest.objects.filter(key=key).values_list()
    assert "reader@example.com" not in str(row)
    assert secret not in str(row)
    assert recorded(key)[1][1] == SUBSCRIPTIONS


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/v1/readers/reader@example.com", "/v1/readers/[removed]"),
        ("/v1/readers/reader%40example.com/x", "/v1/readers/[removed]/x"),
        ("/v1/readers/reader%2540example.com/x", "/v1/readers/[removed]/x"),
        ("/v1/a%00b%0Ac", "/v1/a%00b%0Ac"),
        ("/v1/%3Cscript%3E", "/v1/%3Cscript%3E"),
        ("/v1/né", "/v1/n%C3%A9"),
        ("/v1/" + "x" * 500, "/v1/" + "x" * 196),
    ],
)
def test_a_mistyped_path_is_kept_without_addresses(issued, path, kept):
    key, secret = issued
    assert caller_with(secret).get(path).status_code == 404
    assert recorded(key) == [("GET", kept, 404)]


@pytest.mark.parametrize("before", ["", "key=", "%20", "%22", "{", "%2520", "my_", "Bearer%20"])
def test_a_secret_in_a_path_is_not_kept(issued, before):
    key, secret = issued
    caller_with(secret).get(f"/v1/{before}{secret}")
    ((_, path, status),) = recorded(key)
    assert secret not in path
    assert "[removed]" in path
    assert status == 404


@pytest.mark.parametrize("end", ["revoked", "expired", "closed"])
def test_a_refused_request_with_a_key_that_has_ended_is_recorded(owner, issued, end):
    key, secret = issued
    if end == "revoked":
        api_keys.revoke(owner=owner, key_id=key.pk)
    elif end == "expired":
        ApiKey.objects.update(expires_at=NOON - SECOND)
    else:
        owner.is_active = False
        owner.save()
    assert caller_with(secret).get(STATS).status_code == 401
    assert recorded(key) == [("GET", STATS, 401)]


@pytest.mark.parametrize("change", [lambda secret: secret[:12] + "0" * 56, lambda secret: secret[:-1]])
def test_a_wrong_secret_is_recorded_for_no_key(issued, change):
    assert caller_with(change(issued[1])).get(STATS).status_code == 401
    assert not KeyRequest.objects.exists()


def test_requests_without_an_api_key_are_not_recorded(as_service):
    as_service.get("/io/wallet/balance", user_id="usr_1")
    caller_with("eyJ.x.y").get(STATS)
    Client().get(STATS)
    Client().get(STATS, headers={"Authorization": "Basic msk_"})
    assert not KeyRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_crash_is_recorded(owner):
    key, secret = api_keys.issue(owner=owner, name="mine", scopes=["monetization"])
    client = Client(raise_request_exception=False)
    with a_fault_in("monetization_tip"):
        answer = client.post(
            TIP, TIP_BODY, content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
        )
    assert answer.status_code == 500
    assert recorded(key) == [("POST", TIP, 500)]


@contextmanager
def a_fault_in(table: str):
    """Let each INSERT into a table fail."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT fault_of_a_test CHECK (false) NOT VALID")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT fault_of_a_test")


# --- No more than 100 of 7 days ---------------------------------------------------------------------


def test_only_the_last_100_are_kept(issued):
    key, secret = issued
    other, _ = api_keys.issue(owner=key.owner, name="other", scopes=["read"], within_limit=False)
    key_requests.note(seen(other, at=NOON - SECOND), secret="")
    for number in range(250):
        key_requests._counted.clear()
        key_requests.note(seen(key, at=NOON + number * SECOND), secret=secret)
    kept = KeyRequest.objects.filter(key=key).order_by("arrived_at").values_list("arrived_at", flat=True)
    assert list(kept) == [NOON + number * SECOND for number in range(150, 250)]
    assert KeyRequest.objects.filter(key=other).count() == 1


def test_after_exactly_seven_days_a_request_is_neither_shown_nor_kept(issued):
    key, _ = issued
    for at in (NOON, NOON + INSTANT):
        key_requests.note(seen(key, at=at), secret="")
    with clock_at(NOON + timedelta(days=7)):
        assert [row.arrived_at for row in key_requests.recent(key)] == [NOON + INSTANT]
        assert KeyRequest.objects.count() == 2
        assert key_requests.forget_old() == 1
    assert KeyRequest.objects.get().arrived_at == NOON + INSTANT


@pytest.mark.django_db(transaction=True)
def test_tidy_forgets_old_requests_of_every_key(issued, monkeypatch):
    key, _ = issued
    monkeypatch.setattr(key_requests, "FORGOTTEN_AT_ONCE", 2)
    for number in range(5):
        key_requests.note(seen(key, at=NOON + number * SECOND), secret="")
    answer = "0 overdue holds and 0 grants of 0 wallets ended."
    with clock_at(NOON + timedelta(days=7, seconds=3)):
        assert tidy() == (0, f"{answer} 4 old requests of API keys deleted.", "")
        assert tidy() == (0, answer, "")
    assert KeyRequest.objects.count() == 1


def test_errors_are_found_among_the_others(issued):
    key, _ = issued
    for number, status in enumerate([200, 201, 302, 399, 400, 404, 429, 500]):
        key_requests.note(seen(key, at=NOON + number * SECOND, status=status), secret="")
    with clock_at(NOON + timedelta(minutes=1)):
        assert [row.status for row in key_requests.recent(key, errors_only=True)] == [500, 429, 404, 400]


# --- Never in the way -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_caller_does_not_wait_for_the_record(live_server, issued, monkeypatch):
    """Over real HTTP, while another session locks the table."""
    key, secret = issued
    monkeypatch.setattr(key_requests, "WAIT_SECONDS_MAX", 120)
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE accounts_keyrequest IN ACCESS EXCLUSIVE MODE")
        headers = {"Authorization": f"Bearer {secret}"}
        answer = requests.get(live_server.url + STATS, headers=headers, timeout=60)
        assert answer.json()["success"] is True
        eventually(lambda: another_waits(cursor))
        cursor.execute("ROLLBACK")
    eventually(lambda: recorded(key) == [("GET", STATS, 200)])


def another_waits(cursor) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_locks"
        " WHERE NOT granted AND relation = 'accounts_keyrequest'::regclass)"
    )
    return cursor.fetchone() == (True,)


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_recorded_soon_is_left_out_and_logged_once(issued, monkeypatch, caplog):
    key, secret = issued
    # The server's limit comes first. The limit of the whole record is four times as long.
    monkeypatch.setattr(key_requests, "WAIT_SECONDS_MAX", 2)
    caller = caller_with(secret)
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE accounts_keyrequest IN ACCESS EXCLUSIVE MODE")
        assert [caller.get(STATS).status_code for _ in range(3)] == [200, 200, 200]
        cursor.execute("ROLLBACK")
    logged = [record.message for record in caplog.records if "not recorded" in record.message]
    assert logged == [
        "Requests of API keys are not recorded for a minute: canceling statement due to statement timeout"
    ]
    assert caller.get(STATS).status_code == 200
    assert recorded(key) == []
    monkeypatch.setattr(key_requests, "_rests_until", time.monotonic())
    monkeypatch.setattr(key_requests, "WAIT_SECONDS_MAX", 30)
    caller.get(STATS)
    assert recorded(key) == [("GET", STATS, 200)]


@pytest.mark.django_db(transaction=True)
def test_the_limits_of_a_session_are_as_before(issued):
    def limits():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            return cursor.fetchone()

    usual = limits()
    caller_with(issued[1]).get(STATS)
    assert limits() == usual
    assert recorded(issued[0]) == [("GET", STATS, 200)]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_all_recorded(issued):
    key, _ = issued
    at_once([partial(key_requests.note, seen(key, at=NOON + n * SECOND), secret="") for n in range(16)])
    assert KeyRequest.objects.filter(key=key).count() == 16


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_refused_during_maintenance_is_recorded_with_the_next_one(issued):
    key, secret = issued
    other, others_secret = api_keys.issue(owner=UserFactory.create(), name="other", scopes=["read"])
    maintenance.begin("Moving.")
    try:
        for each in (secret, "msk_" + "x" * 43, others_secret):
            assert caller_with(each).post(TIP, TIP_BODY).status_code == 503
        assert not KeyRequest.objects.exists()
    finally:
        maintenance.end()
    assert caller_with(secret).get(STATS).status_code == 200
    assert recorded(key) == [("GET", STATS, 200), ("POST", TIP, 503)]
    assert recorded(other) == [("POST", TIP, 503)]
    caller_with(secret).get(STATS)
    assert KeyRequest.objects.count() == 4


def test_of_many_requests_that_wait_the_newest_are_kept_in_memory(issued, monkeypatch):
    key, _ = issued
    monkeypatch.setattr(key_requests, "OF_A_KEY_MAX", 1000)
    for number in range(key_requests.WAITING_MAX + 20):
        key_requests.note(seen(key, at=NOON + number * SECOND, status=503), secret="")
    assert len(key_requests._waiting) == key_requests.WAITING_MAX
    assert key_requests._waiting[0][0].arrived_at == NOON + 20 * SECOND


def test_a_secret_that_no_key_can_have_pushes_no_request_out_of_memory(issued):
    key, secret = issued
    key_requests.note(seen(None, status=503), secret=secret)
    for number in range(2 * key_requests.WAITING_MAX):
        if number % 50 == 0:
            key_requests._counted.clear()  # The next minute.
        key_requests.note(seen(None, status=503), secret="msk_x")
    key_requests.note(seen(key), secret=secret)
    assert sorted(KeyRequest.objects.filter(key=key).values_list("status", flat=True)) == [200, 503]


# --- A flood ----------------------------------------------------------------------------------------


@pytest.fixture
def in_one_minute(monkeypatch):
    """Stop the clock by which a process counts minutes: a busy machine may need longer than one."""
    now = time.monotonic()
    monkeypatch.setattr(key_requests, "time", SimpleNamespace(monotonic=lambda: now))


def test_a_flood_writes_no_flood_of_rows(issued, django_assert_num_queries, in_one_minute):
    """Neither do the refused requests push the others out."""
    key, secret = issued
    for number in range(300):
        key_requests.note(seen(key, at=NOON + number * SECOND), secret=secret)
        key_requests.note(seen(key, at=NOON + number * SECOND + INSTANT, status=429), secret=secret)
    written = KeyRequest.objects.filter(key=key)
    assert written.latest("arrived_at").arrived_at == NOON + 99 * SECOND
    assert written.filter(status=200).count() == 90
    assert written.filter(status=429).count() == 10
    with django_assert_num_queries(0):
        key_requests.note(seen(key), secret=secret)
        key_requests.note(seen(key, status=429), secret=secret)
        key_requests.note(seen(None), secret="x")


def test_a_flood_of_wrong_keys_looks_up_100_a_minute(django_assert_num_queries, in_one_minute):
    secret = "msk_" + "0" * 64
    with django_assert_num_queries(100):
        for _ in range(300):
            key_requests.note(seen(None), secret=secret)
    assert not KeyRequest.objects.exists()
