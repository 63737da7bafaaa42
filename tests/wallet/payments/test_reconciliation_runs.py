"""One run at a time: its row, its progress, and how it is interrupted, continued and taken over."""

import json
import signal
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from foundation.calendar import day_of
from tests.crowd import outcomes_at_once
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books.funds import available_of
from wallet.models import Audit
from wallet.payments import stripe_lists
from wallet.payments.models import ReconciliationRun
from wallet.payments.reconciliation import runs, walk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]

State = ReconciliationRun.State


def reconcile(*options, err=None):
    """The exit code, and the report or the sentence of the error."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", *options, stdout=out, stderr=err or StringIO())
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def the_run():
    return ReconciliationRun.objects.get()


# --- A run that ends well ---------------------------------------------------------------------------


def test_a_run_is_recorded_with_what_it_saw_and_found(stand_in):
    session_id = stand_in.paid_session()
    assert reconcile("--since", "2d")[0] == 1
    run = the_run()
    assert (run.state, run.applies, run.seen_count, run.found_count) == (State.FINISHED, False, 1, 1)
    assert (run.counts, run.unknown_count) == ({"uncredited": 1}, 0)
    assert run.seen == {"checkout.session": 1, "balance_transaction": 1}
    assert [each["stripe_id"] for each in run.findings] == [session_id]
    assert run.next_day == day_of(timezone.now())  # More happens today.
    assert reconcile("--since", "2d", "--apply")[0] == 0
    assert list(ReconciliationRun.objects.values_list("state", flat=True)) == [State.FINISHED] * 2


# --- One at a time ----------------------------------------------------------------------------------


def test_a_second_run_is_refused(stand_in):
    stand_in.paid_session()
    runs.begin(since=timezone.now(), applies=True)
    for options in (["--apply"], ["--resume"]):
        code, sentence = reconcile(*options)
        assert code == 2
        assert sentence.startswith("Could not look: Another run is going on, since ")
    assert available_of("usr_1") == 0
    assert not Audit.objects.exists()  # The run that goes on writes one.
    assert the_run().state == State.RUNNING


@pytest.mark.django_db(transaction=True)
def test_of_many_that_begin_at_once_one_runs():
    outcomes = outcomes_at_once([lambda: runs.begin(since=timezone.now(), applies=True)] * 6)
    refusals = [outcome.exception() for outcome in outcomes if outcome.exception()]
    assert len(refusals) == 5
    assert all(isinstance(error, runs.OtherRun) for error in refusals), refusals
    assert the_run().state == State.RUNNING


def test_a_run_whose_process_died_is_taken_over(stand_in):
    dead = runs.begin(since=timezone.now(), applies=True)
    ReconciliationRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=14))
    assert reconcile("--since", "1d")[0] == 2
    ReconciliationRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=16))
    assert reconcile("--since", "1d")[0] == 0
    assert list(ReconciliationRun.objects.order_by("pk").values_list("state", flat=True)) == [
        State.INTERRUPTED,
        State.FINISHED,
    ]
    # If it was only slow, it notices and stops.
    with pytest.raises(runs.OtherRun):
        dead.is_at(day_of(timezone.now()))


def test_a_run_that_was_taken_over_stops_and_says_so(stand_in, monkeypatch):
    monkeypatch.setattr(runs, "HEARTBEAT_SECONDS", 0)
    stand_in.paid_session()
    pages = stripe_lists.pages

    def meanwhile(*args, **options):
        ReconciliationRun.objects.update(state=State.INTERRUPTED)
        return pages(*args, **options)

    monkeypatch.setattr(walk.stripe_lists, "pages", meanwhile)
    code, sentence = reconcile("--since", "1d")
    assert code == 2
    assert "Another run has taken over" in sentence
    assert Audit.objects.get().outcome == Audit.Outcome.UNFINISHED


# --- Interrupted and continued ----------------------------------------------------------------------


@pytest.fixture
def three_days(stand_in, give):
    """Credits of three days for sessions that Stripe does not know."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    connection.check_constraints()
    for days_ago in (3, 2, 1):
        entry = give(f"usr_{days_ago}", 25, session_id=f"cs_test_{days_ago}")
        with resting_triggers():
            sql(
                "UPDATE wallet_entry SET created_at = %s WHERE id = %s",
                today - timedelta(days=days_ago - 0.5),
                entry.pk,
            )
    return today


def interrupting(monkeypatch, stand_in, interruption):
    """Let the run end when it asks about the second day's session."""
    ask = stripe_lists.session

    def ask_until(session_id):
        if session_id == "cs_test_2":
            interruption(stand_in)
        return ask(session_id)

    monkeypatch.setattr(stripe_lists, "session", ask_until)


def press_ctrl_c(stand_in):
    """Python's answer to SIGINT, which the processes of pytest ignore."""
    raise KeyboardInterrupt


INTERRUPTIONS = {
    "Stripe is away": ("Stripe cannot", lambda stand_in: stand_in.misbehaves(api_failure=503)),
    "Ctrl-C": ("It was interrupted", press_ctrl_c),
    "SIGTERM": ("It was interrupted", lambda stand_in: signal.raise_signal(signal.SIGTERM)),
}


@pytest.mark.parametrize(("remark", "interruption"), INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_an_interrupted_run_is_continued_at_its_day(stand_in, three_days, monkeypatch, remark, interruption):
    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        interrupting(patch, stand_in, interruption)
        code, sentence = reconcile("--since", "5d", "--apply")
    stand_in.misbehaves(api_failure=None)
    assert code == 2
    assert signal.getsignal(signal.SIGTERM) == handler
    run = the_run()
    assert (run.state, run.next_day) == (State.INTERRUPTED, day_of(three_days - timedelta(days=2 - 0.5)))
    audit = Audit.objects.get()
    assert (audit.outcome, audit.found_count) == (Audit.Outcome.UNFINISHED, 1)
    assert audit.remark.startswith(remark)
    assert audit.remark in sentence

    code, report = reconcile("--resume")
    assert code == 1
    assert {each["stripe_id"] for each in report["findings"]} == {"cs_test_1", "cs_test_2", "cs_test_3"}
    assert report["unpaid"] == 3
    run = the_run()
    assert (run.state, run.applies, run.found_count) == (State.FINISHED, True, 3)
    assert Audit.objects.latest("pk").found_count == 3


def test_there_is_nothing_to_resume_after_a_finished_run(stand_in):
    sentence = "Could not look: The last run was not interrupted: there is nothing to resume."
    assert reconcile("--resume") == (2, sentence)
    reconcile("--since", "1d")
    assert reconcile("--resume") == (2, sentence)


def test_a_run_without_apply_is_not_continued_with_it(stand_in, three_days, monkeypatch):
    with monkeypatch.context() as patch:
        interrupting(patch, stand_in, KeyboardInterrupt())
        assert reconcile("--since", "5d")[0] == 2
    sentence = "Could not look: The last run began without --apply; begin a new one with it."
    assert reconcile("--resume", "--apply") == (2, sentence)
    assert the_run().state == State.INTERRUPTED
    assert reconcile("--resume")[0] == 1


def test_a_dead_run_is_resumed(stand_in):
    since = timezone.now() - timedelta(days=1)
    runs.begin(since=since, applies=True)
    ReconciliationRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=16))
    session_id = stand_in.paid_session()
    code, report = reconcile("--resume")
    assert code == 0
    assert [(each["kind"], each["stripe_id"]) for each in report["findings"]] == [("credited", session_id)]
    assert the_run().state == State.FINISHED


# --- A database that refuses to store it ------------------------------------------------------------


def test_on_a_read_only_database_the_check_works_and_says_that_it_is_not_stored(stand_in, give):
    give("usr_1", 25, session_id="cs_test_never_was")
    err = StringIO()
    with transaction.atomic():
        sql("SET TRANSACTION READ ONLY")
        code, report = reconcile("--since", "1d", err=err)
        transaction.set_rollback(True)
    assert (code, report["unpaid"]) == (1, 1)
    not_stored, not_written = err.getvalue().splitlines()
    assert not_stored.startswith(
        "This run is not stored, so another one may run at the same time: cannot exec"
    )
    assert not_written.startswith("This examination could not be written down: ")
    assert not ReconciliationRun.objects.exists()


# --- Days -------------------------------------------------------------------------------------------


def test_stretches_without_anything_cost_few_calls(stand_in, monkeypatch):
    """Twenty thousand days: each would cost four calls at Stripe."""
    calls = []
    page = stripe_lists._page

    def counted(kind, params):
        calls.append(kind)
        return page(kind, params)

    monkeypatch.setattr(stripe_lists, "_page", counted)
    session_id = stand_in.paid_session()
    code, report = reconcile("--since", "1970-01-01")
    assert (code, [each["stripe_id"] for each in report["findings"]]) == (1, [session_id])
    assert len(calls) < 120
