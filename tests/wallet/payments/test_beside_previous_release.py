"""Payments that the release before this one decides about, while it still runs on the new schema.

It knows no rows of payments. A trigger inserts the row of the session, but not that of the payment intent.
"""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from tests.wallet.reversed import event_of, refund_of
from wallet.books import laws, ledger
from wallet.charges import adjustments
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import resolving
from wallet.payments.models import Payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]

INTENT = "pi_cs_test_1"


def found(*options):
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", *options, stdout=out)
    except SystemExit:
        pass
    return {(each["kind"], each["stripe_id"]) for each in json.loads(out.getvalue())["findings"]}


def credited_by_previous_release(session_id, payment_intent_id):
    entry = ledger.credit(
        user_id="usr_1",
        credits=25,
        kind=Entry.Kind.TOPUP,
        actor="stripe",
        stripe_session_id=session_id,
    )
    topup = {"state": "paid", "paid_cents": 2500, "payment_intent_id": payment_intent_id, "entry": entry}
    TopUp.objects.create(user_id="usr_1", stripe_session_id=session_id, **topup)


@pytest.mark.parametrize("is_refunded", [False, True])
def test_reconciliation_records_its_credits_and_follows_what_came_first(stand_in, deliver, is_refunded):
    """A trigger records the payment intent for that release, and nothing looks for refunds."""
    session_id = stand_in.paid_session()
    if is_refunded:
        refund = stand_in.sandbox.control(f"sessions/{session_id}/refund", amount=1000)
        for event in stand_in.events(session_id):
            if event["type"] == "refund.created":
                deliver(event)
        assert Payment.objects.get().pk == refund["payment_intent"]
    intent_id = stand_in.session(session_id)["payment_intent"]
    credited_by_previous_release(session_id, intent_id)
    assert found() == ({("reversal", refund["id"])} if is_refunded else set())
    assert found("--apply") == ({("followed", refund["id"])} if is_refunded else set())
    assert ledger.available_of("usr_1") == (15 if is_refunded else 25)
    assert Payment.objects.get(pk=intent_id).state == "credited"
    assert laws.violations() == []
    assert found() == set()


def test_a_refund_of_credits_that_it_gave_by_hand_is_for_staff(deliver, checkout_event):
    deliver(checkout_event(currency="eur"))
    adjustments.adjust(
        user_id="usr_1",
        credits=25,
        reason="Looked at Stripe",
        key="form-1",
        actor="user:staff:ada",
        stripe_session_id="cs_test_1",
    )
    StripeEvent.objects.update(state="resolved")
    deliver(event_of("refund.created", refund_of(INTENT, 1000)))
    assert StripeEvent.objects.get(type="refund.created").state == "parked"


@pytest.mark.parametrize(("credits", "state"), [(25, "parked"), (None, "handled")])
def test_a_refund_of_a_payment_intent_that_was_not_known_when_staff_decided(
    deliver, checkout_event, credits, state
):
    deliver(checkout_event(currency="eur", payment_intent=None))
    resolving.resolve(
        StripeEvent.objects.get(),
        user_id="usr_1" if credits else "",
        credits=credits,
        reason="Looked at Stripe",
        key="form-1",
        actor="user:staff:ada",
    )
    deliver(checkout_event(type="checkout.session.async_payment_succeeded"))
    deliver(event_of("refund.created", refund_of(INTENT, 1000)))
    event = StripeEvent.objects.get(type="refund.created")
    assert (event.state, "by hand" in event.remark or "closed this payment" in event.remark) == (state, True)
    assert ledger.available_of("usr_1") == (credits or 0)
    assert laws.violations() == []
