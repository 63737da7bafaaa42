"""Races about one payment: real threads, each with its own connection, and then the books."""

from collections import Counter
from functools import partial

import pytest
from django.db import connection, transaction

from tests.crowd import at_once, begin, outcomes_at_once, patiently, wait_until_another_waits
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.reversed import charge_of, dispute_of, event_of, refund_of
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.errors import NotToResolve
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments.models import Payment, StripeRefund

pytestmark = pytest.mark.django_db(transaction=True)

INTENT = "pi_cs_test_1"


@pytest.fixture(autouse=True)
def no_event_fails(caplog):
    """An event that fails is healed by its next delivery; here none may fail."""
    yield
    messages = [record.getMessage() for record in caplog.get_records("call")]
    assert not [message for message in messages if "could not be handled" in message]


@pytest.fixture
def deliver_at_once(deliver):
    """Deliver events at one moment; each ends well."""

    def send(*events):
        answers = at_once([partial(patiently, partial(deliver, event)) for event in events])
        assert {answer.status_code for answer in answers} == {200}
        assert set(StripeEvent.objects.values_list("traceback", flat=True)) <= {""}

    return send


def moves():
    """How many entries of each kind there are, and what they come to."""
    kinds = Counter(Entry.objects.values_list("kind", flat=True))
    return dict(kinds), available_of("usr_1")


def resolve(event, credits, key):
    return by_hand.resolve(
        event,
        user_id="usr_1" if credits else "",
        credits=credits,
        reason="Looked at Stripe",
        key=key,
        actor="user:staff:ada",
    )


# --- Who comes first ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["fact", "credit"])
@pytest.mark.parametrize(
    "fact",
    [
        event_of("refund.created", refund_of(INTENT, 1000)),
        event_of("charge.refunded", charge_of(INTENT, 1000)),
        event_of("charge.dispute.funds_withdrawn", dispute_of(INTENT, -1000)),
    ],
    ids=lambda event: event["type"],
)
def test_a_fact_and_the_credit_of_its_payment_while_neither_sees_the_other(
    deliver, checkout_event, fact, first
):
    """The second one waits for the first one's transaction, and then acts on what that has written."""
    events = [fact, checkout_event()] if first == "fact" else [checkout_event(), fact]
    with transaction.atomic():
        assert deliver(events[0]).status_code == 200
        second = begin(lambda: deliver(events[1]))
        wait_until_another_waits()
    assert second.result(timeout=120).status_code == 200
    assert moves() == ({"topup": 1, "clawback": 1}, 15)
    assert set(StripeEvent.objects.values_list("user_id", flat=True)) == {"usr_1"}


def test_many_facts_and_many_reports_of_the_credit_at_once(deliver_at_once, checkout_event):
    credits = [checkout_event(event_id=f"evt_credit_{number}") for number in range(6)]
    facts = [
        event_of("refund.created", refund_of(INTENT, 100 * number, id=f"re_{number}"), id=f"evt_{number}")
        for number in range(1, 7)
    ]
    deliver_at_once(*credits, *facts)
    assert available_of("usr_1") == 25 - 21
    assert StripeRefund.objects.count() == 6
    assert set(StripeEvent.objects.values_list("user_id", flat=True)) == {"usr_1"}


# --- The same, and different facts --------------------------------------------------------------------


@pytest.mark.parametrize("is_credited", [True, False])
def test_one_refund_event_8_times_at_once(deliver, deliver_at_once, checkout_event, is_credited):
    if is_credited:
        deliver(checkout_event())
    deliver_at_once(*[event_of("refund.created", refund_of(INTENT, 1000))] * 8)
    if not is_credited:
        deliver(checkout_event())
    assert moves() == ({"topup": 1, "clawback": 1}, 15)


def test_8_events_of_one_refund_and_its_charge_at_once(deliver, deliver_at_once, checkout_event):
    deliver(checkout_event())
    subjects = [("refund.updated", refund_of(INTENT, 1000)), ("charge.refunded", charge_of(INTENT, 1000))]
    deliver_at_once(*[event_of(*subjects[number % 2], id=f"evt_{number}") for number in range(8)])
    assert moves() == ({"topup": 1, "clawback": 1}, 15)


def test_a_refund_and_a_dispute_at_once(deliver, deliver_at_once, checkout_event):
    deliver(checkout_event())
    deliver_at_once(
        event_of("refund.created", refund_of(INTENT, 1000)),
        event_of("charge.refunded", charge_of(INTENT, 1000)),
        event_of("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2000)),
        event_of("charge.dispute.closed", dispute_of(INTENT, -2000, 700, status="lost")),
    )
    assert available_of("usr_1") == 2


def test_facts_of_several_payments_of_one_user_and_charges_at_once(
    give, deliver, deliver_at_once, checkout_event
):
    sessions = [f"cs_test_{number}" for number in range(4)]
    for session_id in sessions:
        deliver(checkout_event(session_id))
    spending = [begin(lambda: patiently(lambda: adjust_down(5))) for _ in range(4)]
    deliver_at_once(
        *[
            event
            for number, session_id in enumerate(sessions)
            for event in (
                event_of("refund.created", refund_of(f"pi_{session_id}", 500, id=f"re_{number}")),
                event_of(
                    "charge.dispute.funds_withdrawn",
                    dispute_of(f"pi_{session_id}", -1000, id=f"dp_{number}"),
                ),
            )
        ]
    )
    assert [each.result(timeout=120).credits for each in spending] == [-5] * 4
    assert available_of("usr_1") == 4 * (25 - 5 - 10) - 20


def adjust_down(credits):
    return debits.debit(
        user_id="usr_1",
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=1,
        product="blog",
    )


# --- By hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credits", [25, None])
def test_staff_who_resolve_a_payment_while_the_webhook_credits_it(deliver, checkout_event, credits):
    deliver(checkout_event(event_id="evt_parked", currency="eur"))
    parked = StripeEvent.objects.get()
    good = checkout_event(event_id="evt_good", type="checkout.session.async_payment_succeeded")
    fact = event_of("refund.created", refund_of(INTENT, 1000))
    calls = [
        lambda: resolve(parked, credits, key="form-1"),
        lambda: patiently(lambda: deliver(good)),
        lambda: patiently(lambda: deliver(fact)),
    ]
    by_hand, by_webhook, _ = outcomes_at_once(calls)
    assert by_webhook.result().status_code == 200
    payment = Payment.objects.get(pk="cs_test_1")
    if payment.state == "credited":
        if credits:
            assert isinstance(by_hand.exception(), NotToResolve)
        assert moves() == ({"topup": 1, "clawback": 1}, 15)
    else:
        assert by_hand.exception() is None
        assert payment.state == ("by_hand" if credits else "closed")
        assert StripeEvent.objects.get(pk="evt_good").state == "parked"
        assert moves() == (({"adjustment": 1}, 25) if credits else ({}, 0))
    assert Payment.objects.get(pk=INTENT).state == payment.state


def test_two_staff_members_who_resolve_two_events_of_one_payment(deliver, checkout_event):
    for number in range(6):
        deliver(checkout_event(event_id=f"evt_{number}", currency="eur"))
    events = StripeEvent.objects.order_by("pk")
    calls = [partial(resolve, event, 25, f"form-{event.pk}") for event in events]
    outcomes = outcomes_at_once(calls)
    assert Counter(type(outcome.exception()) for outcome in outcomes) == {type(None): 1, NotToResolve: 5}
    assert moves() == ({"adjustment": 1}, 25)


# --- Two sessions of one payment ----------------------------------------------------------------------


def test_two_sessions_of_one_payment_and_its_refund_at_once(deliver_at_once, checkout_event):
    sessions = [checkout_event(f"cs_test_{number}", payment_intent=INTENT) for number in (1, 2)]
    deliver_at_once(*sessions * 3, event_of("refund.created", refund_of(INTENT, 1000)))
    assert moves() == ({"topup": 2, "clawback": 1}, 40)
    first = TopUp.objects.get(stripe_session_id=Payment.objects.get(pk=INTENT).session_id)
    second = TopUp.objects.exclude(pk=first.pk).get()
    assert Entry.objects.get(kind="clawback").stripe_session_id == first.stripe_session_id
    assert (first.remark, second.remark) == (
        "",
        f"Its payment {INTENT} was reported before, for {first.stripe_session_id}.",
    )


# --- Deadlocks ----------------------------------------------------------------------------------------


def test_a_fact_that_was_the_victim_of_a_deadlock_is_tried_again(deliver, checkout_event, monkeypatch):
    """It holds the payment and waits for the wallet, whose holder then asks for the payment.

    PostgreSQL looks once for a deadlock of the fact, so the holder must have asked by then.
    """
    deliver(checkout_event())
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c deadlock_timeout=5s")
    fact = event_of("refund.created", refund_of(INTENT, 1000))
    with transaction.atomic():
        sql("SET LOCAL deadlock_timeout = '60s'; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        sql("SELECT 1 FROM wallet_wallet WHERE user_id = 'usr_1' FOR UPDATE")
        delivering = begin(lambda: deliver(fact))
        wait_until_another_waits()
        sql("SELECT 1 FROM wallet_payment WHERE stripe_id = %s FOR UPDATE", INTENT)
    assert delivering.result(timeout=120).status_code == 200
    assert moves() == ({"topup": 1, "clawback": 1}, 15)
    assert StripeEvent.objects.get(type="refund.created").traceback == ""
