"""Maintenance: no change is accepted, reading goes on, and pages say why."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client

from accounts import maintenance
from accounts.models import Maintenance
from foundation.operators import Pauses, WatchingCommand
from tests.conftest import paid_checkout
from wallet.models import Entry, Hold, StripeEvent

WHY = "We move to a larger server, until 14:00 UTC."
PAUSED = "Changes are paused for maintenance; please try again."


@pytest.fixture(autouse=True)
def forgotten():
    yield
    maintenance.remember(None)


@pytest.fixture
def paused(db):
    maintenance.begin(WHY)


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("maintenance", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


# --- The API ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("deduct", {"allowed": False, "error": PAUSED}),
        ("deduct/batch", {"allowed": False, "error": PAUSED, "code": "try_again"}),
        ("holds", {"allowed": False, "error": PAUSED, "code": "try_again"}),
        ("holds/hold_1/capture", {"error": PAUSED, "code": "try_again"}),
        ("refund", {"error": PAUSED, "code": "try_again"}),
        ("grants", {"error": PAUSED, "code": "try_again"}),
        ("topup-session", {"error": PAUSED}),
        ("nothing-here", {"error": PAUSED}),
    ],
)
def test_every_change_of_a_wallet_is_a_503_in_its_envelope(as_service, paused, path, body):
    answer = as_service.post(f"/io/wallet/{path}", {"user_id": "usr_1"})
    assert (answer.status_code, answer.json()) == (503, body)
    assert answer["Retry-After"] == "10"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-ID"]


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_so_is_every_other_method_that_changes(as_service, paused, method):
    answer = getattr(as_service.client, method)("/io/wallet/budgets", headers=as_service.headers)
    assert (answer.status_code, answer.json()) == (503, {"error": PAUSED, "code": "try_again"})


def test_a_creators_change_is_a_503_in_the_envelope_of_creators(paused):
    answer = Client().post("/mail/v1/monetization/tips", {}, content_type="application/json")
    assert (answer.status_code, answer.json()) == (503, {"success": False, "error": PAUSED})


def test_nothing_is_charged_and_the_key_is_not_used_up(as_service, give, article_rate, paused):
    give("usr_1", 5)
    assert as_service.deduct(idempotency_key="chat:1").status_code == 503
    assert as_service.hold().status_code == 503
    assert not Entry.objects.filter(kind=Entry.Kind.DEDUCT).exists()
    assert not Hold.objects.exists()
    maintenance.end()
    answer = as_service.deduct(idempotency_key="chat:1")
    assert (answer.json()["balanceAfter"], "Idempotent-Replayed" in answer) == (4, False)


def test_reading_goes_on(as_service, give, paused):
    give("usr_1", 5)
    assert as_service.get("/io/wallet/balance", user_id="usr_1").json()["credits"] == 5
    assert as_service.get("/io/wallet/transactions", user_id="usr_1").status_code == 200
    assert as_service.client.options("/io/wallet/balance").status_code != 503


def test_a_webhook_is_not_taken_so_that_stripe_delivers_it_again(deliver, paused):
    event = paid_checkout()
    answer = deliver(event)
    assert (answer.status_code, answer.json()) == (503, {"error": PAUSED})
    assert not StripeEvent.objects.exists()
    maintenance.end()
    assert deliver(event).status_code == 200
    assert Entry.objects.get().credits == 25


# --- Pages --------------------------------------------------------------------------------------------


def test_the_pages_of_users_creators_and_staff_say_why(staff, paused):
    for path in ("/wallet", "/dashboard", "/account", "/admin/", "/admin/wallet/entry/"):
        page = staff.get(path)
        assert page.status_code == 200, path
        assert page.content.decode().count(WHY) >= 1, path
        assert "Changes are paused" in page.content.decode(), path
    maintenance.end()
    assert "Changes are paused" not in staff.get("/wallet").content.decode()


def test_the_overview_has_a_line_with_what_to_do(staff, paused):
    page = staff.get("/admin/").content.decode()
    assert "Changes are paused since " in page
    assert "manage.py maintenance end" in page


@pytest.mark.parametrize(
    ("path", "way_on"),
    [
        ("/wallet/top-up", "/wallet"),
        ("/dashboard/sponsors/new", "/dashboard"),
        ("/admin/wallet/rate/add/", "/admin/"),
    ],
)
def test_a_form_is_answered_by_a_page_that_says_why(staff, paused, path, way_on):
    answer = staff.post(path, {"dollars": "10"})
    page = answer.content.decode()
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert "Changes are paused for maintenance." in page
    assert f"{WHY} Nothing was changed." in page
    assert f'<a href="{way_on}">' in page


def test_what_an_operator_writes_is_shown_as_text(staff, db):
    maintenance.begin("<b>Back & forth</b>")
    assert "&lt;b&gt;Back &amp; forth&lt;/b&gt;." in staff.get("/wallet").content.decode()
    assert "&lt;b&gt;Back &amp; forth&lt;/b&gt;." in staff.post("/wallet/top-up").content.decode()


def test_staff_can_still_sign_in_and_out(client, django_user_model, paused):
    django_user_model.objects.create_superuser(misar_id="staff:ada", password="a-long-passw0rd")
    form = {"login": "staff:ada", "password": "a-long-passw0rd"}
    answer = client.post("/sign-in/staff", form)
    assert answer.status_code == 302
    assert client.session["_auth_user_id"] == "staff:ada"
    assert client.get("/account/second-factor").status_code == 200
    assert client.post("/account/second-factor", {"code": "000000"}).status_code == 200
    assert client.post("/sign-out").status_code == 302
    assert "_auth_user_id" not in client.session


def test_staff_can_still_search_and_log_out(staff, paused):
    assert staff.post("/admin/find/", {"sought": "usr_1"}).status_code == 303
    assert staff.post("/admin/logout/").status_code == 302


def test_health_is_not_touched(client, paused):
    assert client.get("/health").status_code == 200


# --- What a process remembers -------------------------------------------------------------------------


@pytest.fixture
def usual_memory(monkeypatch):
    """A process which has not read anything yet, and remembers as in production, only longer."""
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 1000)
    monkeypatch.setattr(maintenance, "RENEWED_AFTER_SECONDS", 500)
    maintenance.remember(None, at=float("-inf"))


def aged(seconds: float) -> None:
    known = maintenance._known
    maintenance.remember(known.reason, at=known.at - seconds)


def test_it_is_read_once_and_again_when_it_is_old(db, usual_memory, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert maintenance.reason() is None
        assert maintenance.reason() is None
    Maintenance.objects.create(reason=WHY)
    with django_assert_num_queries(0):
        assert maintenance.reason() is None
    aged(600)
    with django_assert_num_queries(1):
        assert maintenance.reason() == WHY


def test_what_another_thread_reads_now_is_not_read_twice(db, usual_memory, django_assert_num_queries):
    maintenance.reason()
    Maintenance.objects.create(reason=WHY)
    with maintenance._renewing:
        aged(600)
        with django_assert_num_queries(0):
            assert maintenance.reason() is None
        aged(500)  # Now it is too old to rely on, so this thread waits for no other one.
        with django_assert_num_queries(1):
            assert maintenance.reason() == WHY


def out_of_reach(call):
    """What a call returns in a thread whose connection leads to no server."""

    def work():
        connection.settings_dict = connection.settings_dict | {"HOST": "/nowhere"}
        return call()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_with_the_database_out_of_reach_a_page_shows_what_was_known_and_a_change_is_refused(db, usual_memory):
    maintenance.remember(WHY)
    aged(5000)
    assert out_of_reach(maintenance.last_known) == WHY
    with pytest.raises(OperationalError):
        out_of_reach(maintenance.reason)
    maintenance.remember(None, at=float("-inf"))
    answer = out_of_reach(lambda: Client().post("/io/wallet/deduct", {}, content_type="application/json"))
    beyond_reach = "The ledger cannot be reached right now; please try again."
    assert (answer.status_code, answer.json()) == (503, {"allowed": False, "error": beyond_reach})
    assert answer["Retry-After"] == "1"
    page = out_of_reach(lambda: Client().post("/wallet/top-up"))
    assert (page.status_code, "Nothing was changed." in page.content.decode()) == (503, True)


@pytest.mark.parametrize("role", ["runtime", "operator"])
def test_before_the_roles_have_their_privileges_no_charge_is_refused(
    roles, acting_as, usual_memory, caplog, role
):
    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE ALL ON accounts_maintenance FROM {roles.runtime}, {roles.operator}")
        cursor.execute("SAVEPOINT before")
        with acting_as(role):
            for _ in range(2):
                cursor.execute("SAVEPOINT inside")
                assert maintenance.reason() is None
                cursor.execute("ROLLBACK TO SAVEPOINT inside")
                aged(5000)
    assert maintenance.reason() is None
    [record] = caplog.records
    assert "permission denied" in record.getMessage()


# --- The command --------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch):
    """No request runs in these tests, so the command has none to wait for."""
    monkeypatch.setattr(maintenance, "REMEMBERED_SECONDS", 0)
    monkeypatch.setattr(maintenance, "REQUEST_SECONDS_MAX", 0)


def test_it_begins_says_so_and_ends(db, at_once):
    assert run("status") == (0, "There is no maintenance.\n", "")
    code, said, _ = run("begin", " We move to a larger server ")
    assert code == 0
    assert "We move to a larger server.\n" in said
    assert said.endswith("No change is accepted any more. To go on: manage.py maintenance end\n")
    found = Maintenance.objects.get()
    assert found.reason == "We move to a larger server."
    assert abs((datetime.now(UTC) - found.since).total_seconds()) < 3600
    code, said, _ = run("status")
    assert (code, "We move to a larger server." in said) == (1, True)
    assert run("end")[:2] == (
        0,
        "The maintenance has ended. Every process accepts changes again within a second.\n",
    )
    assert run("end")[:2] == (0, "There was no maintenance.\n")


def test_a_second_begin_replaces_the_reason_and_not_the_time(db, at_once):
    run("begin", "First.")
    since = Maintenance.objects.get().since
    run("begin", "Second.")
    assert list(Maintenance.objects.values_list("reason", "since")) == [("Second.", since)]


@pytest.mark.parametrize("arguments", [("begin",), ("end", "Why"), ("status", "Why"), ("begin", " ")])
def test_a_reason_that_is_missing_or_too_much_is_refused(db, arguments):
    code, _, said = run(*arguments)
    assert (code, "reason" in said) == (2, True)
    assert not Maintenance.objects.exists()


@pytest.mark.parametrize("reason", ["x" * 201, "a\nb", "\u202eabc"])
def test_a_reason_that_cannot_be_shown_is_refused(db, reason):
    assert run("begin", reason)[0] == 2
    assert not Maintenance.objects.exists()


def test_the_operator_may_begin_and_end_it_and_the_service_may_not(roles, acting_as, at_once):
    with acting_as("runtime"):
        code, _, said = run("begin", WHY)
        assert (code, "as the operator role" in said) == (2, True)
    with acting_as("operator"):
        assert run("begin", WHY)[0] == 0
        assert run("end")[0] == 0


# --- Background work ----------------------------------------------------------------------------------


def test_background_work_asks_between_two_parts_and_only_when_it_watches(paused):
    command = WatchingCommand()
    assert command.pauses == Pauses(maintenance.round_of_work, maintenance.last_known)
    assert command.goes_on()  # An operator who runs it once means it.
    command.is_watching = True
    assert not command.goes_on()
    maintenance.end()
    assert command.goes_on()


def test_a_round_is_left_out(paused):
    with maintenance.round_of_work() as reason:
        assert reason == WHY
    maintenance.end()
    with maintenance.round_of_work() as reason:
        assert reason is None
    assert not maintenance.is_a_round_running()
