"""Money that moved today because of a payment of long ago, which only a balance transaction shows.

A server in the place of Stripe answers, because the sandbox has no past of its own.
"""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.conftest import paid_checkout
from tests.scripted_server import json_of
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from tests.wallet.stripe_answers import SESSIONS
from wallet.books.funds import available_of
from wallet.models import Entry, StripeDispute, TopUp
from wallet.payments import reversals, settlement
from wallet.payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]


def reconcile(*options):
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", "--since", "1d", *options, stdout=out)
    except SystemExit as end:
        return end.code, json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def found(*options):
    """The kind and the object of each finding."""
    return {(each["kind"], each["stripe_id"]) for each in reconcile(*options)[1]["findings"]}


NOW = int(timezone.now().timestamp())
LONG_AGO = NOW - 90 * 24 * 3600


def page_of(*objects):
    return json_of({"object": "list", "data": list(objects), "has_more": False})


def moved(category, source, amount, **facts):
    return {
        "id": f"txn_{category}",
        "object": "balance_transaction",
        "amount": amount,
        "currency": "usd",
        "created": NOW - 3600,
        "reporting_category": category,
        "source": source,
    } | facts


def written_long_ago():
    """Date the entries back, as no verb could."""
    with resting_triggers():
        sql("UPDATE wallet_entry SET created_at = now() - interval '90 days'")


@pytest.fixture
def stripe_of_today(stripe_at):
    """A Stripe where only money moved today, because of older objects."""

    def answers(*moves, sessions=()):
        for path in (SESSIONS, "/v1/refunds", "/v1/disputes"):
            stripe_at.answers[path] = page_of()
        stripe_at.answers["/v1/balance_transactions"] = page_of(*moves)
        if sessions:
            stripe_at.answers[SESSIONS] = lambda handler: page_of(
                *(sessions if "payment_intent=" in handler.path else ())
            )(handler)

    return answers


@pytest.fixture
def old_payment(db):
    """Ninety days ago, usr_1 paid $25."""
    session = paid_checkout("cs_test_1", created=LONG_AGO, payment_intent="pi_1")["data"]["object"]
    settlement.settle(session, happened_at=timezone.now() - timedelta(days=90))
    with resting_triggers():
        TopUp.objects.update(created_at=timezone.now() - timedelta(days=90))
    written_long_ago()
    return session


def test_a_dispute_of_long_ago_that_was_won_today(stripe_at, stripe_of_today, old_payment):
    first = moved("dispute", None, -2500, created=LONG_AGO)
    dispute = {
        "id": "dp_1",
        "object": "dispute",
        "amount": 2500,
        "currency": "usd",
        "created": LONG_AGO,
        "status": "needs_response",
        "payment_intent": "pi_1",
        "balance_transactions": [first],
    }
    reversals.dispute(dispute, happened_at=timezone.now() - timedelta(days=90))
    StripeDispute.objects.update(status="lost")  # As Stripe said before the appeal: nothing asks about it.
    won = moved("dispute_reversal", None, 2500)
    dispute |= {"status": "won", "balance_transactions": [first, won]}
    stripe_of_today(won | {"source": dispute})
    stripe_at.answers["/v1/disputes/dp_1"] = json_of(dispute)
    written_long_ago()
    assert found() == {("reversal", "dp_1")}
    assert found("--apply") == {("followed", "dp_1")}
    assert available_of("usr_1") == 25
    assert found() == set()


def test_a_refund_of_long_ago_that_failed_today(stripe_at, stripe_of_today, old_payment):
    refund = {
        "id": "re_1",
        "object": "refund",
        "amount": 700,
        "currency": "usd",
        "created": LONG_AGO,
        "status": "succeeded",
        "payment_intent": "pi_1",
    }
    reversals.refund(refund, happened_at=timezone.now() - timedelta(days=90))
    assert available_of("usr_1") == 18
    refund |= {"status": "failed"}
    stripe_of_today(moved("refund_failure", refund, 700))
    stripe_at.answers["/v1/refunds/re_1"] = json_of(refund)
    written_long_ago()
    assert found() == {("reversal", "re_1")}
    assert found("--apply") == {("followed", "re_1")}
    assert available_of("usr_1") == 25
    assert found() == set()


@pytest.mark.parametrize("bent", [False, True])
def test_a_session_of_long_ago_that_was_paid_today(stripe_at, stripe_of_today, old_payment, bent):
    """A delayed payment. Our top-up is gone, so that no list of ours leads to it, or has another amount."""
    charge = {
        "id": "ch_1",
        "object": "charge",
        "payment_intent": "pi_1",
        "created": NOW - 3600,
        "metadata": {"type": "wallet_topup"},
    }
    session = old_payment | {"amount_total": 4000}
    if not bent:
        session |= {"id": "cs_test_2", "payment_intent": "pi_2"}
        charge |= {"payment_intent": "pi_2"}
    stripe_of_today(moved("charge", charge, 4000), sessions=[session])
    stripe_at.answers[f"{SESSIONS}/{session['id']}"] = json_of(session)
    assert found() == {("amount" if bent else "uncredited", session["id"])}
    assert found("--apply") == {("amount" if bent else "credited", session["id"])}
    assert available_of("usr_1") == (25 if bent else 65)


@pytest.mark.parametrize(
    ("category", "facts", "said"),
    [
        ("other_adjustment", {}, "balance transactions of the category other_adjustment"),
        ("charge", {"source": None}, "balance transactions of the category charge"),
        ("charge", {"currency": "eur"}, "balance transactions in another currency than US dollars"),
    ],
)
def test_what_is_not_known_is_counted_and_said(stripe_of_today, category, facts, said):
    charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "created": NOW, "metadata": {}}
    stripe_of_today(moved(category, charge, 100) | facts, moved("payout", None, -100))
    code, report = reconcile()
    assert (code, report["findings"]) == (0, [])
    assert report["unknown"].keys() == {said}
    assert Payment.objects.count() == Entry.objects.count() == 0
