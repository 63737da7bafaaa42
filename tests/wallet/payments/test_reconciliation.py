"""`manage.py reconcile_stripe`: Stripe against the books, with the sandbox as Stripe."""

import json
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from foundation.operators import moment
from sandbox.environment import free_port
from tests.wallet.conftest import forget_the_client
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import settlement
from wallet.payments.reconciliation.findings import HEADINGS, REPAIRED, Kind

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def reconcile(*options):
    """The command's exit code and what it wrote."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", *options, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


def findings(*options):
    """The exit code, and each finding as kind, session and user."""
    code, text = reconcile("--json", *options)
    found = json.loads(text)["findings"]
    return code, {(one["kind"], one["session_id"], one["user_id"]) for one in found}


def books():
    return [list(model.objects.order_by("pk").values()) for model in (Entry, TopUp)]


@pytest.fixture
def lost(stand_in, start_topup):
    """Two paid, one paid late, one left open, one failed; Stripe told of all of it, and nothing arrived."""
    paid, late, failed, left = (start_topup(f"usr_{n}", 10 * n) for n in (1, 2, 3, 4))
    stand_in.happens("pay", paid.stripe_session_id)
    for topup, outcome in ((late, "settle"), (failed, "fail")):
        stand_in.happens("pay_later", topup.stripe_session_id)
        stand_in.happens(outcome, topup.stripe_session_id)
    stranger = stand_in.paid_session(user_id="usr_5", cents=5099)
    assert left.state == "created"
    return [(paid.stripe_session_id, "usr_1"), (late.stripe_session_id, "usr_2"), (stranger, "usr_5")]


# --- Paid and not credited --------------------------------------------------------------------------


def test_what_was_paid_and_not_credited_is_reported_and_nothing_is_changed(lost):
    before = books()
    code, found = findings()
    assert code == 1
    assert found == {("uncredited", session_id, user_id) for session_id, user_id in lost}
    assert books() == before
    code, text = reconcile()
    *lines, last = text.splitlines()
    assert code == 1
    assert sorted(lines) == sorted(
        f"{session_id}: paid at Stripe, not credited: {dollars} for '{user_id}'."
        for (session_id, user_id), dollars in zip(lost, ("$10.00", "$20.00", "$50.99"), strict=True)
    )
    assert last.endswith(": paid at Stripe, not credited: 3.")


def test_apply_credits_exactly_what_was_paid_and_a_second_run_changes_nothing(lost, stand_in):
    code, found = findings("--apply")
    assert code == 0
    failed = TopUp.objects.get(user_id="usr_3").stripe_session_id
    credited = {("credited", session_id, user_id) for session_id, user_id in lost}
    assert found == credited | {("updated", failed, "usr_3")}
    assert TopUp.objects.get(user_id="usr_3").state == "failed"
    assert [available_of(f"usr_{n}") for n in range(1, 6)] == [10, 20, 0, 0, 50]
    entry = Entry.objects.get(wallet_id="usr_1")
    session = stand_in.session(lost[0][0])
    assert entry.effective_at == datetime.fromtimestamp(session["created"], tz=UTC)
    topup = TopUp.objects.get(stripe_session_id=lost[0][0])
    assert (topup.state, topup.entry, topup.payment_intent_id) == ("paid", entry, session["payment_intent"])

    before = books()
    for again in ((), ("--apply",)):
        assert findings(*again) == (0, set())
    code, text = reconcile("--apply")
    assert code == 0
    assert text.endswith(": Stripe and the books agree.\n")
    assert books() == before


def test_webhooks_that_come_after_all_credit_nothing_more(lost, stand_in, deliver):
    reconcile("--apply")
    before = books()
    for session_id, _ in lost:
        for event in stand_in.events(session_id):
            assert deliver(event).status_code == 200
    assert books() == before
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"handled"}


def test_what_webhooks_have_told_is_no_finding(lost, stand_in, deliver):
    for session_id, _ in lost:
        for event in stand_in.events(session_id):
            deliver(event)
    assert findings() == (0, set())


def test_another_amount_than_asked_is_credited_with_a_word(stand_in):
    session_id = stand_in.paid_session(cents=2000)
    TopUp.objects.create(
        user_id="usr_1", amount_cents=2500, state="created", stripe_session_id=session_id, product="blog"
    )
    code, text = reconcile("--apply", "--json")
    [finding] = json.loads(text)["findings"]
    assert code == 0
    assert (finding["kind"], finding["cents"]) == ("credited", 2000)
    assert finding["remark"] == "Paid $20.00, asked for $25.00."
    assert available_of("usr_1") == 20


def test_a_list_of_many_pages_is_read_to_its_end(stand_in):
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda n: stand_in.paid_session(user_id=f"usr_{n}", cents=100), range(105)))
    code, text = reconcile("--json", "--apply")
    report = json.loads(text)
    assert code == 0
    assert (report["sessions"], report["credited"]) == (105, 105)
    assert {finding["session_id"] for finding in report["findings"]} == set(sessions)


def test_a_record_that_waits_since_before_is_asked_for_by_its_session(stand_in, start_topup):
    """However old the session is: what still waits is looked at."""
    topup = start_topup()
    stand_in.happens("pay", topup.stripe_session_id)
    tomorrow = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%d")
    assert findings("--since", tomorrow) == (1, {("uncredited", topup.stripe_session_id, "usr_1")})
    assert findings("--since", tomorrow, "--apply")[0] == 0
    assert available_of("usr_1") == 25


def test_what_is_neither_new_nor_waiting_is_left_alone(stand_in):
    stand_in.paid_session()
    tomorrow = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%d")
    assert findings("--since", tomorrow, "--apply") == (0, set())
    assert available_of("usr_1") == 0


def test_sessions_of_others_are_not_ours(stand_in):
    stand_in.paid_session(type="tip")
    stand_in.paid_session(type=None)
    stand_in.new_session()
    before = books()
    assert findings("--apply") == (0, set())
    assert books() == before


# --- Credited and not paid --------------------------------------------------------------------------


def test_credits_for_a_session_that_stripe_does_not_know(stand_in, give):
    give("usr_1", 25, session_id="cs_test_never_was")
    for options in ((), ("--apply",)):
        code, text = reconcile("--json", *options)
        [finding] = json.loads(text)["findings"]
        assert code == 1
        assert finding == {
            "kind": "unpaid",
            "session_id": "cs_test_never_was",
            "user_id": "usr_1",
            "cents": 2500,
            "remark": "Stripe knows no such session.",
            "stripe_id": "cs_test_never_was",
        }
    assert available_of("usr_1") == 25  # Taking them back is for a person to decide.
    assert "cs_test_never_was: credited, but not paid at Stripe: $25.00 for 'usr_1'." in reconcile()[1]


@pytest.mark.parametrize("verbs", [(), ("expire",), ("pay_later",), ("pay_later", "fail")])
def test_credits_for_a_session_that_stripe_does_not_call_paid(stand_in, start_topup, verbs):
    topup = start_topup()
    for verb in verbs:
        stand_in.happens(verb, topup.stripe_session_id)
    forged = stand_in.session(topup.stripe_session_id) | {"payment_status": "paid"}
    settlement.settle(forged, happened_at=timezone.now())
    code, text = reconcile("--json", "--apply")
    [finding] = json.loads(text)["findings"]
    assert code == 1
    assert (finding["kind"], finding["remark"]) == ("unpaid", "Stripe does not call it paid.")
    assert available_of("usr_1") == 25


def test_old_credits_are_looked_at_as_far_back_as_asked(stand_in, give):
    """By the time of the entry, which nothing changes; `paid_at` can be edited."""
    topup = give("usr_1", 25, session_id="cs_test_old").topup
    for paid_at in (timezone.now() - timedelta(days=60), None):
        with resting_triggers():
            TopUp.objects.filter(pk=topup.pk).update(paid_at=paid_at)
        assert findings("--since", "2d") == (1, {("unpaid", "cs_test_old", "usr_1")})


# --- A person must decide ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "remark"),
    [
        ({"currency": "eur"}, "not in US dollars"),
        ({"cents": 99}, "amount_total is 99 cents"),
        ({"cents": 10_000_001}, "amount_total is 10000001 cents"),
        ({"user_id": None}, "metadata.user_id is missing"),
    ],
)
def test_what_cannot_be_credited_is_parked_with_the_reason(stand_in, session, remark):
    session_id = stand_in.paid_session(**session)
    for options in ((), ("--apply",)):
        code, text = reconcile("--json", *options)
        [finding] = json.loads(text)["findings"]
        assert code == 1
        assert (finding["kind"], finding["session_id"]) == ("parked", session_id)
        assert remark in finding["remark"]
    assert not Entry.objects.exists()


def test_a_session_that_our_record_gives_to_another_user_is_parked(stand_in):
    session_id = stand_in.paid_session(user_id="usr_1")
    TopUp.objects.create(user_id="usr_2", amount_cents=2500, state="created", stripe_session_id=session_id)
    before = books()
    code, found = findings("--apply")
    assert (code, found) == (1, {("parked", session_id, "usr_1")})
    assert books() == before


def test_what_is_parked_does_not_stop_the_rest(stand_in):
    parked = stand_in.paid_session(currency="eur")
    good = stand_in.paid_session(user_id="usr_2")
    code, found = findings("--apply")
    assert code == 1
    assert found == {("parked", parked, "usr_1"), ("credited", good, "usr_2")}
    assert available_of("usr_2") == 25


# --- Exit codes, reports, options -------------------------------------------------------------------


def test_the_report_as_json(lost):
    code, text = reconcile("--json", "--since", "2026-01-01")
    report = json.loads(text)
    assert code == 1
    counts = {"sessions", "seen", "unknown", "on_their_way", *Kind.values}
    assert set(report) == {"database", "since", "findings"} | counts
    assert report["since"] == "2026-01-01T00:00:00Z"
    assert (report["uncredited"], report["credited"], report["unpaid"], report["parked"]) == (3, 0, 0, 0)
    assert set(report["findings"][0]) == {*("kind", "session_id", "user_id", "cents", "remark", "stripe_id")}
    # Three and the failed one are complete at Stripe, one is asked for by its id.
    assert report["sessions"] >= 4


def test_each_kind_of_finding_is_explained():
    """In the back-office's overview, and in docs/checks.md with what staff should do."""
    assert set(HEADINGS) == set(Kind) - set(REPAIRED)
    text = (django_settings.BASE_DIR / "docs" / "checks.md").read_text()
    for kind in Kind:
        assert f"| `{kind}` | " in text


def out_of_reach():
    with pytest.raises(CommandError, match=r"Could not look: .*Stripe") as trouble:
        call_command("reconcile_stripe", "--apply", "--json", stdout=StringIO())
    assert trouble.value.returncode == 2
    assert not Entry.objects.exists()
    return True


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_stripe_that_fails_is_exit_code_2(lost, stand_in, status):
    stand_in.misbehaves(api_failure=status)
    assert out_of_reach()


def test_a_stripe_that_is_not_there_is_exit_code_2(settings, new_gateway):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    forget_the_client()
    assert out_of_reach()


def test_a_database_that_is_not_there_is_exit_code_2_with_a_sentence():
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}
    done = subprocess.run(
        [sys.executable, "manage.py", "reconcile_stripe", "--apply"],
        cwd=django_settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Could not look: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("14d", timedelta(days=14)),
        ("1h", timedelta(hours=1)),
        ("36h", timedelta(hours=36)),
        ("2w", timedelta(weeks=2)),
        ("9999d", timedelta(days=9999)),
    ],
)
def test_since_is_an_age(text, back):
    assert abs(timezone.now() - back - moment(text)) < timedelta(seconds=5)


def test_since_is_a_date_in_utc():
    assert moment("2026-06-01") == NOON.replace(hour=0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0d", "14", "d", "-1d", "14 d", " 14d", "14d\n", "14D", "1.5d", "٣d", "99999d"),
        *("2026-13-01", "2026-06-31", "2026-06-01T00:00:00Z", "06/01/2026", "yesterday"),
    ],
)
def test_since_is_nothing_else(text):
    with pytest.raises(ArgumentTypeError, match="neither an age such as 14d nor a date"):
        moment(text)


def test_a_wrong_since_is_refused(stand_in):
    with pytest.raises(CommandError, match="neither an age"):
        call_command("reconcile_stripe", "--since", "yesterday")


@pytest.mark.parametrize("since", ["0001-01-01", "1969-12-31", "9999w", "9999-12-31"])
def test_any_date_can_be_asked_for(lost, since):
    code, _ = reconcile("--since", since)
    assert code == 1  # The waiting records, at least.
