"""When a service key or an API key was last used: noted once a minute, and never in the way of a request."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.urls import reverse

from accounts import api_keys, key_uses
from accounts.models import ApiKey, KeyUse, ServiceKey
from accounts.service_keys import find_service_key, issue_service_key
from tests.conftest import Caller
from tests.crowd import at_once, locked_by_another, second_connection
from tests.factories import UserFactory
from tests.monetization.conftest import KEYS, STATS, Browser, caller_with

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)


@pytest.fixture(params=["service key", "API key"])
def key_and_request(request, db):
    """A key, and a call that makes a request with it and returns the status."""
    if request.param == "service key":
        service_key, secret = issue_service_key(product="blog")
        caller = Caller({"x-wallet-service-key": secret})
        return service_key, lambda: caller.get("/io/wallet/balance", user_id="usr_1").status_code
    api_key, secret = api_keys.issue(owner=UserFactory.create(), name="mine", scopes=["read"])
    return api_key, lambda: caller_with(secret).get(STATS).status_code


@pytest.fixture
def start_a_process(monkeypatch):
    """Let this process remember no use, like one that has just started."""

    def start():
        monkeypatch.setattr(key_uses, "_remembered", {})

    start()
    return start


def last_use(digest: str) -> datetime | None:
    return KeyUse.objects.filter(digest=digest).values_list("used_at", flat=True).first()


# --- Once a minute ----------------------------------------------------------------------------------


def test_a_request_notes_the_use_of_its_key(key_and_request):
    key, request = key_and_request
    assert last_use(key.digest) is None
    assert request() == 200
    first = last_use(key.digest)
    assert request() == 200
    assert last_use(key.digest) == first
    assert type(key).objects.with_last_use().get().last_used_at == first


def test_a_wrong_secret_with_the_right_prefix_is_no_use():
    _, secret = issue_service_key(product="blog")
    Caller({"x-wallet-service-key": secret[:12] + "0" * 56}).get("/io/wallet/balance", user_id="usr_1")
    _, secret = api_keys.issue(owner=UserFactory.create(), name="mine", scopes=["read"])
    caller_with(secret[:12] + "0" * 56).get(STATS)
    assert not KeyUse.objects.exists()


def test_a_use_is_noted_again_after_exactly_a_minute(start_a_process):
    key_uses.note("d", at=NOON)
    key_uses.note("d", at=NOON + MINUTE - INSTANT)
    assert last_use("d") == NOON
    key_uses.note("d", at=NOON + MINUTE)
    assert last_use("d") == NOON + MINUTE


def test_a_process_goes_by_what_another_process_noted(start_a_process):
    key_uses.note("d", at=NOON)
    start_a_process()
    key_uses.note("d", at=NOON + MINUTE / 2)
    assert last_use("d") == NOON
    # It remembers the time of the other process, not its own.
    key_uses.note("d", at=NOON + MINUTE)
    assert last_use("d") == NOON + MINUTE
    KeyUse.objects.update(used_at=NOON + 3 * MINUTE)  # The other process again.
    key_uses.note("d", at=NOON + 3 * MINUTE + INSTANT)
    assert last_use("d") == NOON + 3 * MINUTE


def test_within_the_minute_a_process_asks_the_database_nothing(start_a_process, django_assert_num_queries):
    with django_assert_num_queries(2):
        key_uses.note("d", at=NOON)
    with django_assert_num_queries(0):
        key_uses.note("d", at=NOON + MINUTE - INSTANT)
    start_a_process()
    with django_assert_num_queries(1):
        key_uses.note("d", at=NOON + MINUTE - INSTANT)
    _, secret = issue_service_key(product="blog")
    find_service_key(secret)
    with django_assert_num_queries(1):
        find_service_key(secret)


def test_a_process_remembers_so_many_keys_and_no_more(start_a_process, monkeypatch):
    monkeypatch.setattr(key_uses, "REMEMBERED_MAX", 3)
    for number in range(7):
        key_uses.note(str(number), at=NOON)
        assert len(key_uses._remembered) <= 3
    assert KeyUse.objects.count() == 7


# --- Never in the way -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_request_waits_for_no_other_that_notes_the_same_use(key_and_request):
    key, request = key_and_request
    KeyUse.objects.create(digest=key.digest, used_at=NOON - timedelta(days=1))
    with locked_by_another("SELECT 1 FROM accounts_keyuse WHERE digest = %s", key.digest):
        assert request() == 200
    assert last_use(key.digest) == NOON - timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_a_use_that_cannot_be_recorded_soon_is_left_out(
    key_and_request, start_a_process, monkeypatch, caplog
):
    """As on a cluster whose coordinator, which has the uses, is down."""
    key, request = key_and_request
    monkeypatch.setattr(key_uses, "WAIT_SECONDS_MAX", 0.01)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        usual = cursor.fetchone()
    with second_connection() as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE accounts_keyuse IN ACCESS EXCLUSIVE MODE")
        assert request() == 200
        assert request() == 200
        cursor.execute("ROLLBACK")
    assert [record.message for record in caplog.records].count(
        "The last use of a key was not recorded: canceling statement due to statement timeout"
    ) == 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == usual
    start_a_process()
    monkeypatch.setattr(key_uses, "WAIT_SECONDS_MAX", 10)
    assert request() == 200
    assert last_use(key.digest) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [ServiceKey, ApiKey])
def test_a_request_does_not_lock_the_key(model):
    """Staff may be about to revoke it."""
    _, wsk = issue_service_key(product="blog")
    _, msk = api_keys.issue(owner=UserFactory.create(), name="mine", scopes=["read"])
    key = model.objects.get()
    with locked_by_another(f"SELECT 1 FROM {model._meta.db_table} WHERE digest = %s", key.digest):
        if model is ServiceKey:
            find_service_key(wsk)
        else:
            api_keys.find(msk)
    assert last_use(key.digest) is not None


@pytest.mark.django_db(transaction=True)
def test_many_first_uses_and_many_next_uses_at_once_are_one_row(start_a_process):
    for at in (NOON, NOON + MINUTE):
        at_once([partial(key_uses.note, "d", at=at + number * INSTANT) for number in range(8)])
        used_at = KeyUse.objects.get().used_at
        assert at <= used_at < at + 8 * INSTANT


# --- Where it is shown ------------------------------------------------------------------------------


def test_a_list_of_keys_reads_all_last_uses_with_the_keys(staff, django_assert_max_num_queries):
    owner = UserFactory.create()
    creator = Browser(owner)

    def issue():
        for key in (
            issue_service_key(product="blog")[0],
            api_keys.issue(owner=owner, name="k", within_limit=False)[0],
        ):
            KeyUse.objects.create(digest=key.digest, used_at=NOON)

    pages = {
        "service keys": partial(staff.get, reverse("admin:accounts_servicekey_changelist")),
        "API keys": partial(staff.get, reverse("admin:accounts_apikey_changelist")),
        "user": partial(staff.get, reverse("admin:one_user", args=[owner.pk.replace("_", "_5F")])),
        "creator's page": partial(creator.get, reverse("dashboard:keys")),
        "creator's API": partial(creator.get, KEYS),
    }

    def counted() -> dict[str, int]:
        found = {}
        for name, call in pages.items():
            with django_assert_max_num_queries(100) as captured:
                answer = call()
            assert answer.status_code == 200, name
            text = answer.content.decode()
            assert "30 Jun 2026, 12:00" in text or "2026-06-30T12:00:00Z" in text, name
            found[name] = len(captured)
        return found

    issue()
    counted()  # The first requests of a process also read what later ones remember.
    first = counted()
    for _ in range(5):
        issue()
    assert counted() == first


def test_a_key_without_a_use_says_so(staff):
    service_key = issue_service_key(product="blog")[0]
    owner = UserFactory.create()
    api_key = api_keys.issue(owner=owner, name="mine")[0]
    for page, args, words in (
        ("accounts_servicekey_revoke", [service_key.pk], "never"),
        ("accounts_apikey_revoke", [api_key.pk], "never"),
        ("accounts_servicekey_change", [service_key.pk], "Last used at"),
    ):
        text = staff.get(reverse(f"admin:{page}", args=args)).text
        assert words in text
        assert ">None<" not in text
    assert "never" in Browser(owner).get(reverse("dashboard:keys")).content.decode()
    KeyUse.objects.create(digest=api_key.digest, used_at=NOON)
    assert (
        "30 Jun 2026, 12:00 UTC" in staff.get(reverse("admin:accounts_apikey_revoke", args=[api_key.pk])).text
    )
    revoke = reverse("dashboard:revoke-key", args=[api_key.pk])
    assert "30 Jun 2026, 12:00" in Browser(owner).get(revoke).content.decode()


@pytest.mark.parametrize("model", ["servicekey", "apikey"])
def test_the_file_has_the_last_use(staff, model):
    digests = {
        "servicekey": issue_service_key(product="blog")[0].digest,
        "apikey": api_keys.issue(owner=UserFactory.create(), name="mine")[0].digest,
    }
    KeyUse.objects.create(digest=digests[model], used_at=NOON)
    head, row = staff.get(reverse(f"admin:accounts_{model}_csv")).text.splitlines()
    at = head.split(",").index("last_used_at") - len(head.split(","))
    assert row.split(",")[at] == "2026-06-30T12:00:00Z"
