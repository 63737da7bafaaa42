"""The two formats of the log, and what a line contains."""

import json
import logging
import logging.config
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from foundation.http.request_ids import RequestFilter, request_id
from misar_billing import logs


@pytest.fixture
def shown():
    """A record as a line of the log in a format."""

    def show(record: logging.LogRecord, format: str = "json") -> str:
        configured = logs.configuration(format, "INFO")["formatters"]["event"]
        formatter = configured["()"](**{name: value for name, value in configured.items() if name != "()"})
        RequestFilter().filter(record)
        return formatter.format(record)

    return show


def record(message: str, *args: object, error=None, name="wallet", **extra: object) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    logger = logging.getLogger(name)
    made = logger.makeRecord(name, logging.WARNING, "f", 1, message, args, exc_info, extra=extra)
    made.created = 1_764_460_800.5
    return made


def raised() -> ValueError:
    try:
        raise ValueError("two\nlines for ada@example.com")
    except ValueError as error:
        return error


def test_a_line_of_json_has_the_time_in_utc_and_facts_as_fields(shown):
    token = request_id.set("req_1")
    try:
        line = shown(record("Mail %s waits", 7, tries=3, is_late=True, other=object()))
    finally:
        request_id.reset(token)
    assert json.loads(line) == {
        "time": "2025-11-30T00:00:00.500Z",
        "level": "warning",
        "logger": "wallet",
        "event": "Mail 7 waits",
        "request_id": "req_1",
        "tries": 3,
        "is_late": True,
    }


def test_an_error_is_in_fields_of_one_line(shown):
    event = json.loads(shown(record("It failed\nhere", error=raised())))
    assert event["event"] == "It failed\nhere"
    assert (event["error"], event["error_message"]) == ("ValueError", "two\nlines for [removed]")
    assert event["traceback"].count("raise ValueError") == 1
    assert "\n" not in shown(record("It failed\nhere", error=raised()))


def test_the_readable_format_is_as_it_was(shown):
    line = shown(record("Mail %s waits", 7, tries=3), format="line")
    assert line == "2025-11-30 00:00:00,500 WARNING wallet [-] Mail 7 waits tries=3"
    first, *trace = shown(record("It\nfailed", error=raised()), format="line").split("\n")
    assert first.endswith("[-] It\\nfailed")
    assert trace[0].startswith('  File "')
    assert trace[-1] == "lines for [removed]"


@pytest.mark.parametrize("format", logs.FORMATS)
def test_secrets_are_taken_out_of_messages_and_facts(shown, format):
    line = shown(
        record("Key %s of %s", "wsk_0a1b2c", "ada@example.com", password="pa55word", note="msk_1a2b"), format
    )
    for secret in ("wsk_0a", "ada@", "pa55word", "msk_1"):
        assert secret not in line


def test_a_request_is_shown_by_its_pattern_and_not_by_its_query(shown):
    request = RequestFactory().get("/admin/user/usr_ada/", {"q": "Ada"})
    event = json.loads(shown(record("Forbidden: %s", request.path, request=request, status_code=403)))
    assert event["event"] == "Forbidden: /admin/user/<object_id>/"
    assert event["status_code"] == 403
    assert "Ada" not in str(event)


def test_gunicorn_names_no_caller(shown):
    said = "Invalid request from ip=203.0.113.9: Invalid HTTP request line: 'GET /?q=Ada'"
    line = shown(record(said, name="gunicorn.error"))
    assert "203.0" not in line
    assert "Ada" not in line


def test_json_in_production_and_lines_in_the_sandbox():
    assert logs.format_of({}, production=True) == "json"
    assert logs.format_of({}, production=False) == "line"
    assert logs.format_of({"LOG_FORMAT": "line"}, production=True) == "line"
    with pytest.raises(ValueError, match="json or line"):
        logs.format_of({"LOG_FORMAT": "xml"}, production=True)


@pytest.fixture
def requests_logged(settings, caplog):
    settings.LOG_REQUESTS = True
    caplog.set_level(logging.INFO)

    def lines() -> list[dict]:
        return [vars(each) for each in caplog.records if each.name == "misar_billing.requests_seen"]

    return lines


def test_a_request_is_one_line_without_the_user(as_service, requests_logged, article_rate, give):
    give("usr_ada", 1)
    as_service.deduct("usr_ada")
    as_service.get("/io/wallet/balance", user_id="usr_ada")
    as_service.get("/io/wallet/holds/hold_1", user_id="usr_ada")
    charge, read, hold = requests_logged()
    assert (charge["method"], charge["path"], charge["status"]) == ("POST", "/io/wallet/deduct", 200)
    assert charge["product"] == "blog"
    assert 0 <= charge["milliseconds"] < 60_000
    assert (read["path"], hold["path"]) == ("/io/wallet/balance", "/io/wallet/holds/<hold_id>")
    assert "usr_ada" not in str([charge, read, hold])


def test_a_line_tells_the_kind_of_caller(as_user, staff, requests_logged):
    as_user("usr_ada").get("/io/wallet/balance")
    staff.get("/admin/")
    staff.get("/admin/user/usr_ada/")
    Client().get("/wallet/nothing/usr_ada")
    user, overview, one_user, unknown = requests_logged()
    assert user["caller"] == "user"
    assert (overview["caller"], overview["path"]) == ("staff", "/admin/")
    assert one_user["path"] == "/admin/user/<object_id>/"
    assert (unknown["path"], unknown["status"]) == ("(unknown)", 404)
    assert "caller" not in unknown


def test_requests_are_logged_only_if_that_is_switched_on(as_service, requests_logged, settings):
    settings.LOG_REQUESTS = False
    as_service.get("/io/wallet/rates")
    assert requests_logged() == []


def test_the_log_queries_nothing(client, db, requests_logged, settings):
    queries = []
    for settings.LOG_REQUESTS in (True, False):
        client.cookies["sessionid"] = "a" * 32
        with CaptureQueriesContext(connection) as captured:
            client.get("/sign-in")
        queries.append(len(captured))
    assert queries[0] == queries[1]
    assert len(requests_logged()) == 1


@pytest.mark.slow
def test_a_watching_command_and_its_errors_are_lines_of_json(db):
    """Without a database, the command says so once and goes on."""
    environment = os.environ | {
        "LOG_FORMAT": "json",
        "DATABASE_URL": "postgres://ada:pa55word@127.0.0.1:9/none",
    }
    watching = subprocess.Popen(
        [sys.executable, "manage.py", "tidy", "--watch"],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert watching.stdout is not None
        line = watching.stdout.readline()
    finally:
        watching.terminate()
        rest, _ = watching.communicate(timeout=120)
    event = json.loads(line)
    assert event["event"].startswith("The database cannot be used, trying again")
    assert event["command"] == "tidy"
    assert "pa55word" not in line + rest
    for other in rest.splitlines():
        json.loads(other)
