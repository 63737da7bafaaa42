"""Books that were changed outside the service never give out credits again that a refund has taken back.

They are bent as only an operator with a superuser's rights could: the triggers rest.
"""

import pytest
from django.db import connection

from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from tests.wallet.reversed import event_of, refund_of
from wallet.books import laws
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments.models import Payment

pytestmark = pytest.mark.django_db

INTENT = "pi_cs_test_1"
MISSING_INTENT = "UPDATE wallet_topup SET payment_intent_id = ''"
BENDS = [
    "UPDATE wallet_topup SET payment_intent_id = 'pi_other'",
    MISSING_INTENT,
    "UPDATE wallet_topup SET stripe_session_id = 'cs_other'",
    "UPDATE wallet_topup SET user_id = 'usr_2'",
    "UPDATE wallet_topup SET paid_cents = 12500",
    "UPDATE wallet_topup SET state = 'failed', entry_id = NULL",
    "DELETE FROM wallet_topup",
    "UPDATE wallet_entry SET stripe_session_id = 'cs_other' WHERE kind = 'topup'",
    "UPDATE wallet_entry SET stripe_session_id = 'cs_other'",
]


@pytest.fixture
def refunded(deliver, checkout_event):
    """usr_1 paid $25, and $10 was refunded: 15 credits are left."""
    deliver(checkout_event())
    deliver(event_of("refund.created", refund_of(INTENT, 1000)))
    assert available_of("usr_1") == 15
    connection.check_constraints()  # What is due from before; a table with open business cannot be altered.


def bend(query):
    with resting_triggers():
        sql(query)


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("change", BENDS)
def test_a_report_of_a_refund_moves_nothing_and_is_for_staff(refunded, deliver, change):
    bend(change)
    for event in (
        event_of("refund.updated", refund_of(INTENT, 1000)),
        event_of("refund.created", refund_of(INTENT, 100, id="re_2")),
    ):
        deliver(event)
        assert StripeEvent.objects.get(pk=event["id"]).state == "parked"
    assert (available_of("usr_1"), available_of("usr_2")) == (15, 0)


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("change", BENDS)
def test_a_report_of_the_payment_gives_nothing_out(refunded, deliver, checkout_event, change):
    bend(change)
    entries = Entry.objects.count()
    deliver(checkout_event(type="checkout.session.async_payment_succeeded"))
    assert Entry.objects.count() == entries
    event = StripeEvent.objects.get(type="checkout.session.async_payment_succeeded")
    is_repaired = change == MISSING_INTENT  # The report names it.
    assert event.state == ("handled" if is_repaired else "parked")


def test_a_second_payment_intent_of_a_session_is_for_staff(refunded, deliver, checkout_event):
    """A session has one payment at Stripe. The refunds of another one would be of no top-up."""
    deliver(checkout_event(type="checkout.session.async_payment_succeeded", payment_intent="pi_second"))
    event = StripeEvent.objects.get(type="checkout.session.async_payment_succeeded")
    topup = TopUp.objects.get()
    assert event.state == "parked"
    assert event.remark == f"Our record of the payment ({topup.pk}) does not fit its payment, pi_second."
    assert not Payment.objects.filter(pk="pi_second").exists()
    assert laws.violations() == []
