"""GET /health"""

from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client

from misar_billing import health
from tests.conftest import Caller


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch):
    """The database is asked each time, not once a second."""
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 0)


@contextmanager
def database_settings(**changes):
    """New connections have these settings."""
    connection.close()
    kept = dict(connection.settings_dict)
    connection.settings_dict.update(changes)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(kept)


def database_gone(tmp_path):
    """This thread's next connection goes to a socket where no server listens."""
    return database_settings(HOST=str(tmp_path), PORT="")


@pytest.mark.django_db
def test_all_is_well():
    response = Client().get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.0.0.7", "evil.com", "a b", ""])
def test_a_probe_need_not_know_our_name(settings, host):
    settings.ALLOWED_HOSTS = ["billing.misar.io"]
    assert Client().get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.django_db
def test_a_probe_is_not_sent_to_https(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/health").status_code == 200


@pytest.mark.django_db
def test_a_probe_may_ask_with_head():
    response = Client().head("/health")
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_there_is_nothing_to_change(method):
    response = Client().generic(method, "/health")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/", "/healthz", "/Health"])
def test_only_this_address_is_the_health_check(path):
    assert Client(raise_request_exception=False).get(path).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_without_its_database_it_can_take_no_work(tmp_path):
    with database_gone(tmp_path):
        response = Client().get("/health")
        assert response.status_code == 503
        assert response.json() == {"status": "unavailable", "reason": "the database is out of reach"}
        assert response["X-Request-ID"].startswith("req_")
    assert Client().get("/health").status_code == 200


def reason():
    response = Client().get("/health")
    assert response.status_code == 503
    return response.json()["reason"]


@pytest.mark.django_db(transaction=True)
def test_an_empty_database_takes_no_work():
    with database_settings(NAME="postgres"):
        assert reason() == "the database is behind the code; run migrate"


@pytest.mark.django_db(transaction=True)
def test_a_read_only_server_takes_no_work():
    options = dict(connection.settings_dict["OPTIONS"])
    options["options"] += " -c default_transaction_read_only=on"
    with database_settings(OPTIONS=options):
        assert reason() == "the database is read-only"
    assert Client().get("/health").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_runtime_role_may_ask_all_of_it(roles):
    options = dict(connection.settings_dict["OPTIONS"])
    options["options"] += f" -c role={roles.runtime}"
    with database_settings(OPTIONS=options):
        assert health._Probe().findings().trouble is None


@pytest.mark.django_db(transaction=True)
def test_a_server_without_a_free_connection_takes_no_work(role_with_one_connection):
    """Also if this thread has its connection: others may have none."""
    name, password = role_with_one_connection
    with database_settings(USER=name, PASSWORD=password):
        connection.ensure_connection()
        assert reason() == "the database has no connection left"
    assert Client().get("/health").status_code == 200


@pytest.fixture
def role_with_one_connection():
    """A superuser is not limited, so this is none."""
    name, password = "one_connection", "one_connection"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP ROLE IF EXISTS {name}")
        cursor.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1 PASSWORD '{password}'")
        yield name, password
    with connection.cursor() as cursor:
        cursor.execute(f"DROP ROLE {name}")


@pytest.mark.django_db(transaction=True)
def test_a_write_needs_room_on_the_disk():
    """The server writes a file for the probe. That file is held to its limit here, as a disk would be."""
    options = dict(connection.settings_dict["OPTIONS"])
    options["options"] += " -c temp_file_limit=64kB"
    with database_settings(OPTIONS=options):
        assert reason() == "the database is out of reach"


@pytest.mark.django_db(transaction=True)
def test_the_database_is_asked_once_however_many_ask(monkeypatch):
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 3600)
    probe = health._Probe()
    assert probe.findings().trouble is None
    with database_settings(NAME="no_such_database"):
        assert probe.findings().trouble is None
        assert health._Probe().findings().trouble == "the database is out of reach"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/io/wallet/balance", "/io/wallet/transactions", "/io/wallet/rates"])
def test_reads_without_the_database_are_503_never_401_or_403(tmp_path, token, path):
    for headers in (
        {"x-wallet-service-key": "wsk_" + "0" * 64},
        {"Authorization": f"Bearer {token('usr_1')}"},
    ):
        with database_gone(tmp_path):
            response = Caller(headers).get(path, user_id="usr_1")
        assert response.status_code == 503
        assert response.json() == {"error": "The ledger cannot be reached right now; please try again."}
        assert response["Retry-After"] == "1"


@pytest.mark.django_db(transaction=True)
def test_a_charge_without_the_database_is_503_and_denied(tmp_path):
    with database_gone(tmp_path):
        response = Caller({"x-wallet-service-key": "wsk_" + "0" * 64}).deduct("usr_1")
    assert response.status_code == 503
    assert response.json() == {
        "allowed": False,
        "error": "The ledger cannot be reached right now; please try again.",
    }
    assert response["Retry-After"] == "1"


@pytest.mark.django_db(transaction=True)
def test_a_webhook_without_the_database_is_503_so_that_stripe_comes_again(tmp_path, deliver, checkout_event):
    with database_gone(tmp_path):
        response = deliver(checkout_event())
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
