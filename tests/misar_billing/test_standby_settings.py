"""STANDBY_URL is optional, is read like DATABASE_URL, and is another server."""

import pytest

from misar_billing.checks import the_standby_is_another_server
from tests.misar_billing.test_settings import read, refusal

URL = "postgres://billing@two.internal:5433/billing"


def test_without_it_there_is_no_standby(monkeypatch):
    made = read(monkeypatch)
    assert (made["STANDBY"], made["STANDBY_LAG_SECONDS_MAX"]) == (None, 5)


def test_it_is_no_database_that_a_command_could_name_and_its_sessions_are_read_only(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("a pass%word\n")
    made = read(
        monkeypatch,
        STANDBY_URL=f"{URL}?options=-c%20default_transaction_read_only%3Doff",
        STANDBY_PASSWORD_FILE=str(tmp_path / "password"),
        STANDBY_LAG_SECONDS_MAX="2",
    )
    standby = made["STANDBY"]
    assert set(made["DATABASES"]) == {"default"}
    assert (standby["HOST"], standby["PORT"], standby["PASSWORD"]) == ("two.internal", 5433, "a pass%word")
    assert standby["OPTIONS"]["options"].endswith(" -c default_transaction_read_only=on")
    assert made["STANDBY_LAG_SECONDS_MAX"] == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"STANDBY_URL": "mysql://two.internal/billing"}, "STANDBY_URL must begin with postgres://"),
        ({"STANDBY_URL": "postgres://two.internal"}, "STANDBY_URL names no database."),
        ({"STANDBY_URL": "postgres://two,three:1/billing"}, "STANDBY_URL names several servers"),
        (
            {"STANDBY_URL": URL, "STANDBY_PASSWORD_FILE": "/no/file"},
            "The password in /no/file cannot be read",
        ),
        ({"STANDBY_LAG_SECONDS_MAX": "0"}, "STANDBY_LAG_SECONDS_MAX must be a whole number of at least 1."),
    ],
)
def test_a_wrong_one_stops_the_start(monkeypatch, changes, reason):
    assert refusal(monkeypatch, **changes).startswith(reason)


def test_the_address_of_the_primary_is_no_standby(settings):
    primary = settings.DATABASES["default"]
    assert the_standby_is_another_server(None) == []
    for other in ({}, {"USER": "another_role"}, {"PORT": int(primary["PORT"] or 5432)}):
        settings.STANDBY = primary | other
        (error,) = the_standby_is_another_server(None)
        assert (error.id, error.msg) == ("misar.E010", "STANDBY_URL has the address of DATABASE_URL.")
    for other in ({"HOST": "two.internal"}, {"PORT": "5433"}):
        settings.STANDBY = primary | other
        assert the_standby_is_another_server(None) == []
