"""Refunds and disputes that are not ours, or that have a wrong shape: parked or left, and never an error."""

import itertools
from typing import Any

import pytest
from django.urls import reverse

from tests.wallet.reversed import charge_of, dispute_of, event_of, refund_of
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent
from wallet.payments import reversals
from wallet.payments.models import Payment, StripeDispute, StripeRefund

pytestmark = pytest.mark.django_db

INTENT = "pi_cs_test_1"
SUBJECTS = {
    "refund.created": refund_of(INTENT, 1000),
    "charge.refunded": charge_of(INTENT, 1000),
    "charge.dispute.funds_withdrawn": dispute_of(INTENT, -1000),
}


@pytest.fixture
def paid(deliver, checkout_event):
    """usr_1 has paid $25 and got 25 credits."""
    assert deliver(checkout_event()).status_code == 200


@pytest.fixture
def tell(deliver):
    """Stripe reports something; the event as it is stored."""

    def send(type, about, **event):
        event = event_of(type, about, id="evt_1", **event)
        assert deliver(event).status_code == 200
        return StripeEvent.objects.get(pk="evt_1")

    return send


def parked(event, reason):
    """Parked with the reason, nothing taken back, and no fact kept."""
    assert (event.state, event.handled_at, event.traceback) == ("parked", None, "")
    assert reason in event.remark
    assert Entry.objects.count() <= 1
    assert not StripeRefund.objects.exists()
    assert not StripeDispute.objects.exists()
    assert not Payment.objects.filter(refunded_cents__gt=0).exists()
    return True


# --- Kept apart ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", SUBJECTS)
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"account": "acct_1"}, "It belongs to a connected account."),
        ({"context": "acct_1"}, "It belongs to another account of the organisation (context)."),
        ({"livemode": True}, "livemode"),
    ],
)
def test_an_event_of_elsewhere_is_parked(paid, tell, type, event, reason):
    assert parked(tell(type, SUBJECTS[type], **event), reason)


@pytest.mark.parametrize("type", SUBJECTS)
def test_an_object_of_the_other_mode_is_parked(paid, tell, type):
    live = SUBJECTS[type] | {"livemode": True}
    assert parked(tell(type, live), "The event and its object differ in livemode.")


@pytest.mark.parametrize("type", SUBJECTS)
def test_a_payment_of_another_currency_that_is_none_of_ours_is_left(tell, type):
    event = tell(type, SUBJECTS[type] | {"currency": "eur"})
    assert (event.state, event.remark) == ("handled", reversals.NO_TOPUP)
    assert not StripeRefund.objects.exists()
    assert not StripeDispute.objects.exists()


@pytest.mark.parametrize("currency", ["eur", "USD", "", None, 7, ["usd"]])
@pytest.mark.parametrize("type", SUBJECTS)
def test_another_currency_of_a_payment_of_ours_is_parked(paid, tell, type, currency):
    assert parked(tell(type, SUBJECTS[type] | {"currency": currency}), "It is not in US dollars.")


def test_money_of_a_dispute_that_moved_in_another_currency_is_parked(paid, tell):
    about = dispute_of(INTENT, -1000)
    about["balance_transactions"][0]["currency"] = "eur"
    event = tell("charge.dispute.created", about)
    assert parked(event, "Its money moved in another currency than US dollars.")


def test_a_parked_event_is_on_the_page_of_its_user(paid, tell, staff):
    event = tell("refund.created", refund_of(INTENT, 1000), account="acct_1")
    assert event.user_id == "usr_1"
    listed = staff.get(reverse("admin:wallet_stripeevent_changelist"), {"user_id__exact": "usr_1"})
    assert [each.pk for each in listed.context["cl"].result_list if each.state == "parked"] == ["evt_1"]


def test_a_refund_without_a_payment_intent_is_of_no_top_up(paid, tell):
    event = tell("refund.created", refund_of(INTENT, 1000, payment_intent=None))
    assert (event.state, event.remark) == ("handled", "It has no payment intent, so it belongs to no top-up.")
    assert not StripeRefund.objects.exists()


# --- Wrong shapes -------------------------------------------------------------------------------------

NO_AMOUNTS: list[Any] = [None, "1000", 10.5, True, [], {}, -1, 10**11, 10**30]


@pytest.mark.parametrize("amount", [*NO_AMOUNTS, 0])
def test_a_refund_of_no_possible_amount_is_parked(paid, tell, amount):
    assert parked(tell("refund.created", refund_of(INTENT, amount)), "amount is not a possible amount.")


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_a_charge_that_refunded_no_possible_amount_is_parked(paid, tell, amount):
    event = tell("charge.refunded", charge_of(INTENT, amount))
    assert parked(event, "amount_refunded is not a possible amount.")


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_a_dispute_of_no_possible_amount_is_parked(paid, tell, amount):
    event = tell("charge.dispute.created", dispute_of(INTENT, amount=amount))
    assert parked(event, "amount is not a possible amount.")


@pytest.mark.parametrize("amount", [None, "1000", 10.5, True, [], 10**11, -(10**11), 10**30])
def test_a_balance_transaction_of_no_possible_amount_is_parked(paid, tell, amount):
    about = dispute_of(INTENT, -1000)
    about["balance_transactions"][0]["amount"] = amount
    event = tell("charge.dispute.funds_withdrawn", about)
    assert parked(event, "The amount of a balance transaction is not an integer.")


@pytest.mark.parametrize("transactions", [{"data": []}, "txn_1", 7, [None], ["txn_1"], [{}], [{"id": "\0"}]])
def test_balance_transactions_of_a_wrong_shape_are_parked(paid, tell, transactions):
    event = tell("charge.dispute.created", dispute_of(INTENT, balance_transactions=transactions))
    assert parked(event, "alance")


@pytest.mark.parametrize("odd", [None, "", 7, "x" * 256, "\0", "\ud800", ["re_1"], {"id": "re_1"}])
@pytest.mark.parametrize("type", SUBJECTS)
def test_an_object_without_an_id_is_parked(paid, deliver, type, odd):
    deliver(event_of(type, SUBJECTS[type] | {"id": odd}, id="evt_1"))
    assert parked(StripeEvent.objects.get(pk="evt_1"), "It has no id.")


@pytest.mark.parametrize(
    "place",
    [
        *("id", "status", "reason", "failure_reason", "charge", "payment_intent", "created", "livemode"),
        *("amount", "amount_refunded", "currency", "balance_transactions", "metadata", "object"),
    ],
)
def test_no_place_of_a_refund_or_a_dispute_can_break_the_inbox(paid, deliver, place):
    nothings: list[Any] = [None, [], {}, "x", 7, True, 1.5, "x" * 400, "\0", "\ud800", -(10**20)]
    for number, (nothing, type) in enumerate(itertools.product(nothings, SUBJECTS)):
        event = event_of(type, SUBJECTS[type] | {"id": f"x_{number}", place: nothing}, id=f"evt_{number}")
        assert deliver(event).status_code == 200
    assert {event.state for event in StripeEvent.objects.all()} <= {"handled", "parked"}
    assert 0 <= available_of("usr_1") <= 25


def test_long_texts_are_cut(paid, tell):
    tell("refund.created", refund_of(INTENT, 1000, status="s" * 500, reason="r" * 500))
    refund = StripeRefund.objects.get()
    assert (len(refund.status), len(refund.reason)) == (50, 100)


@pytest.mark.parametrize("type", ["refund.created", "charge.dispute.created"])
def test_an_event_without_an_object_is_ignored(deliver, type):
    no_data: list[Any] = [None, [], {}, {"object": None}, {"object": []}, {"object": "re_1"}]
    for number, data in enumerate(no_data):
        event = event_of(type, {"id": "re_1"}, id=f"evt_{number}") | {"data": data}
        assert deliver(event).status_code == 200
    assert {event.state for event in StripeEvent.objects.all()} == {"ignored"}
