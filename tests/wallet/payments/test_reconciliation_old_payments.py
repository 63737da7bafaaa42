"""Payments that are older than --since: what moved their credits lately is compared with Stripe all the same.

The payment of these tests was made 60 days ago, and the command looks back 14 days.
"""

import json
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from sandbox import past, store
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books import laws
from wallet.books.funds import available_of
from wallet.models import TopUp
from wallet.payments import reversals, settlement
from wallet.payments.models import StripeDispute

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("nothing_on_its_way"),
    pytest.mark.breaks_the_books,
]

DAY_SECONDS = 86400


@pytest.fixture
def old(stand_in, monkeypatch):
    """The top-up of $25."""
    monkeypatch.setenv("DATA_DIR", str(stand_in.sandbox.data_dir))
    session = store.add_paid_session(user_id="usr_1", product="blog", amount_cents=2500, created=days_ago(60))
    settlement.settle(stand_in.session(session["id"]), happened_at=timezone.now() - timedelta(days=60))
    for table in ("entry", "topup", "wallet"):
        bend(f"UPDATE wallet_{table} SET created_at = created_at - interval '60 days'")
    is_clean()
    return TopUp.objects.get()


def days_ago(days):
    return int(time.time()) - days * DAY_SECONDS


def bend(query):
    with resting_triggers():
        sql(query)


def found(*options):
    """The kind, the object and the remark of each finding."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", "--since", "14d", *options, stdout=out)
    except SystemExit:
        pass
    findings = json.loads(out.getvalue())["findings"]
    return {(each["kind"], each["stripe_id"], each["remark"]) for each in findings}


def is_clean():
    assert laws.violations() == []
    assert found() == set()


def test_a_refund_that_was_made_up_for_long_ago(old):
    reversals.refund(
        {
            "id": "re_made_up",
            "payment_intent": old.payment_intent_id,
            "currency": "usd",
            "amount": 1000,
            "status": "succeeded",
            "created": days_ago(50),
        },
        happened_at=timezone.now(),
    )
    assert (available_of("usr_1"), laws.violations()) == (15, [])
    assert found() == found("--apply") == {("orphan", "re_made_up", "Stripe knows no such refund.")}


def test_an_old_refund_that_our_record_calls_failed(old):
    refund = past.add_refund(old.stripe_session_id, amount=2500, created=days_ago(50))
    reversals.refund(refund, happened_at=timezone.now() - timedelta(days=50))
    is_clean()
    reversals.refund(refund | {"status": "failed"}, happened_at=timezone.now())
    assert (available_of("usr_1"), laws.violations()) == (25, [])
    assert found() == {("reversal", refund["id"], "The books have it as failed, Stripe as succeeded.")}


def test_money_of_an_old_dispute_that_never_came_back(old):
    dispute = past.add_dispute(old.stripe_session_id, created=days_ago(50))
    dispute = past.close_dispute(dispute["id"], won=False, created=days_ago(40))
    reversals.dispute(dispute, happened_at=timezone.now() - timedelta(days=40))
    is_clean()
    stored = StripeDispute.objects.get()
    stored.movements |= {"txn_made_up": 2500}
    stored.save()
    settlement.follow(old, happened_at=timezone.now(), cause="Dispute.")
    assert (available_of("usr_1"), laws.violations()) == (25, [])
    remark = "Stripe does not know its balance transaction txn_made_up."
    assert found() == {("orphan", dispute["id"], remark)}


@pytest.mark.parametrize("is_reported", [False, True])
def test_a_refund_of_a_payment_whose_intent_was_changed_everywhere(old, stand_in, is_reported):
    bend(f"UPDATE wallet_payment SET stripe_id = 'pi_other' WHERE stripe_id = '{old.payment_intent_id}'")
    bend("UPDATE wallet_topup SET payment_intent_id = 'pi_other'")
    refund = stand_in.sandbox.control(f"sessions/{old.stripe_session_id}/refund", amount=1000)
    if is_reported:
        assert reversals.refund(refund, happened_at=timezone.now()) == reversals.NO_TOPUP
    no_topup = ("reversal", refund["id"], "No paid top-up has its payment, so no credits follow it.")
    assert found() == {no_topup if is_reported else ("reversal", refund["id"], "It is not in the books.")}
    assert found("--apply") == found() == {no_topup}
    assert available_of("usr_1") == 25


def test_a_since_in_the_future_compares_what_is_open_and_says_so(old):
    errors = StringIO()
    call_command("reconcile_stripe", "--since", "2999-01-01", stdout=StringIO(), stderr=errors)
    assert errors.getvalue() == "--since is in the future: only what is still open is compared.\n"
