"""Each examination of the books is written down, the one that could not look as well."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books import audits, laws
from wallet.models import Audit

pytestmark = pytest.mark.django_db

BALANCE = next(iter(laws.LAWS_OF_WALLETS))


def run(command, *options):
    """The exit code."""
    try:
        call_command(command, *options)
    except SystemExit as end:
        return end.code
    except CommandError as error:
        return error.returncode
    return 0


def noted():
    """What the one examination says."""
    [audit] = Audit.objects.all()
    assert audit.started_at <= audit.ended_at
    return audit.kind, audit.outcome, audit.seen_count, audit.found_count


def note(on_trouble=pytest.fail, **facts):
    full: dict[str, Any] = {
        "kind": Audit.Kind.LAWS,
        "started_at": timezone.now(),
        "seen_count": 3,
        "found_count": len(facts.get("findings", [])),
        "outcome": Audit.Outcome.CLEAN,
    }
    audits.write_down(Audit(**full | facts), on_trouble=on_trouble)
    return Audit.objects.order_by("pk").last()


# --- Writing one down -------------------------------------------------------------------------------


def test_the_first_hundred_findings_are_kept_and_all_are_counted():
    findings = [{"subject": f"usr_{number}"} for number in range(130)]
    note(findings=findings, outcome=Audit.Outcome.FOUND)
    audit = Audit.objects.get()
    assert audit.found_count == 130
    assert audit.findings == findings[:100]


def test_the_last_is_the_newest_of_its_kind_also_where_it_could_not_look():
    clean = note()
    newest = note(outcome=Audit.Outcome.UNFINISHED, remark="The disk is full.")
    other = note(kind=Audit.Kind.STRIPE)
    assert audits.last(Audit.Kind.LAWS) == newest
    assert audits.last(Audit.Kind.STRIPE) == other
    assert audits.last_finished(Audit.Kind.LAWS) == clean


def test_where_there_was_none_there_is_no_last():
    assert audits.last(Audit.Kind.LAWS) is None


def test_what_cannot_be_written_is_a_sentence():
    said: list[str] = []
    sql("ALTER TABLE wallet_audit RENAME TO wallet_audit_gone")
    audit = Audit(
        kind=Audit.Kind.LAWS, outcome="clean", seen_count=3, found_count=0, started_at=timezone.now()
    )
    audits.write_down(audit, on_trouble=said.append)
    sql("ALTER TABLE wallet_audit_gone RENAME TO wallet_audit")
    assert said == [
        'This examination could not be written down: relation "wallet_audit" does not exist. Run migrate.'
    ]
    assert not Audit.objects.exists()


# --- check_ledger -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_clean_books_are_noted(give):
    give("usr_1", 10)
    assert run("check_ledger") == 0
    assert noted() == ("laws", "clean", 1, 0)
    assert Audit.objects.get().findings == []


@pytest.mark.breaks_the_books
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_breaks_a_law_is_noted_with_its_subject(give, options):
    give("usr_1", 10)
    with transaction.atomic(), resting_triggers():
        sql("UPDATE wallet_wallet SET balance = 8")
    assert run("check_ledger", *options) == 1
    assert noted() == ("laws", "found", 1, 2)
    detail = "balance 8, entries add up to 10"
    assert Audit.objects.get().findings[1:] == [{"law": BALANCE, "subject": "usr_1", "detail": detail}]


@pytest.mark.django_db(transaction=True)
def test_a_check_that_could_not_look_is_noted_with_why(give):
    give("usr_1", 10)
    sql("ALTER TABLE wallet_topup RENAME TO wallet_topup_gone")
    try:
        assert run("check_ledger") == 2
    finally:
        sql("ALTER TABLE wallet_topup_gone RENAME TO wallet_topup")
    assert noted() == ("laws", "unfinished", 0, 0)
    assert Audit.objects.get().remark == 'relation "wallet_topup" does not exist. Run migrate.'


@pytest.mark.django_db(transaction=True)
def test_a_role_that_may_only_read_checks_all_the_same(give, capsys):
    give("usr_1", 10)
    sql("SET default_transaction_read_only = on")
    try:
        assert run("check_ledger") == 0
    finally:
        sql("RESET default_transaction_read_only")
    said = capsys.readouterr()
    assert said.out.endswith("Every law holds.\n")
    assert said.err.startswith("This examination could not be written down: cannot execute INSERT")
    assert not Audit.objects.exists()


# --- reconcile_stripe -------------------------------------------------------------------------------


def test_a_comparison_that_agrees_is_noted(stand_in):
    assert run("reconcile_stripe") == 0
    assert noted() == ("stripe", "clean", 0, 0)


@pytest.mark.usefixtures("nothing_on_its_way")
def test_differences_are_noted_and_what_was_repaired_is_said(stand_in):
    session_id = stand_in.paid_session(cents=2500)
    assert run("reconcile_stripe", "--json") == 1
    assert noted() == ("stripe", "found", 1, 1)
    audit = Audit.objects.get()
    assert [(each["kind"], each["session_id"]) for each in audit.findings] == [("uncredited", session_id)]
    with resting_triggers():
        audit.delete()
    assert run("reconcile_stripe", "--apply") == 0
    assert noted() == ("stripe", "clean", 1, 0)
    audit = Audit.objects.get()
    assert audit.remark == "Repaired: paid at Stripe, credited now: 1."
    assert [each["kind"] for each in audit.findings] == ["credited"]


def test_a_stripe_out_of_reach_is_noted(stand_in):
    stand_in.misbehaves(api_failure=503)
    assert run("reconcile_stripe") == 2
    assert noted() == ("stripe", "unfinished", 0, 0)
    assert (
        Audit.objects.get().remark
        == "Stripe cannot be reached, refuses our key, or answers wrongly; the log says which."
    )
