"""Refunds of a top-up, as Stripe's events report them: what is taken back, what comes back, and for whom."""

import itertools
import json

import pytest

from tests.wallet import by_hand
from tests.wallet.inbox import RECEIVED
from tests.wallet.reversed import charge_of, event_of, refund_of
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.errors import InsufficientCredits
from wallet.models import Entry, StripeEvent, TopUp
from wallet.payments import inbox
from wallet.payments.models import Payment, StripeRefund

pytestmark = pytest.mark.django_db

INTENT = "pi_cs_test_1"
LATER = "No top-up has this payment. It is kept in case the top-up is reported later."


@pytest.fixture
def tell(deliver):
    """Stripe reports something in an event of its own; the event as it is stored."""
    numbers = itertools.count()

    def send(type, about, **event):
        event = event_of(type, about, id=f"evt_{type}_{next(numbers)}", **event)
        answer = deliver(event)
        assert (answer.status_code, answer.content) == (200, RECEIVED)
        return StripeEvent.objects.get(pk=event["id"])

    return send


@pytest.fixture
def paid(deliver, checkout_event):
    """usr_1 has paid $25 and got 25 credits."""
    assert deliver(checkout_event()).status_code == 200
    return TopUp.objects.get()


def moves(user_id="usr_1"):
    """What each entry of a wallet moved, oldest first."""
    return list(Entry.objects.filter(wallet_id=user_id).order_by("sequence").values_list("kind", "credits"))


def spend(credits, user_id="usr_1"):
    return debits.debit(
        user_id=user_id,
        credits=credits,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature="blog.article.generate",
        count=1,
        product="blog",
    )


# --- One refund ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded", "a status to come"])
@pytest.mark.parametrize("type", ["refund.created", "refund.updated", "charge.refund.updated"])
def test_a_refund_that_has_not_failed_takes_its_credits_back(paid, tell, type, status):
    event = tell(type, refund_of(INTENT, 1000, status=status))
    assert (event.state, event.user_id, event.payment_intent_id) == ("handled", "usr_1", INTENT)
    assert event.remark == "Took back 10 credits."
    assert moves() == [("topup", 25), ("clawback", -10)]
    entry = Entry.objects.get(kind="clawback")
    assert (entry.stripe_session_id, entry.actor, entry.product) == ("cs_test_1", "stripe", "blog")
    assert entry.reason == "Refund re_1."
    refund = StripeRefund.objects.get()
    assert (refund.pk, refund.amount_cents, refund.status) == ("re_1", 1000, status)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_had_failed_when_it_was_first_reported_takes_nothing(paid, tell, status):
    assert tell("refund.failed", refund_of(INTENT, 1000, status=status)).remark == ""
    assert moves() == [("topup", 25)]


@pytest.mark.parametrize(
    ("type", "status"),
    [("refund.failed", "failed"), ("refund.updated", "canceled"), ("charge.refund.updated", "failed")],
)
def test_credits_of_a_refund_that_fails_come_back(paid, tell, type, status):
    tell("refund.created", refund_of(INTENT, 1000, status="pending"))
    failure = refund_of(INTENT, 1000, status=status, failure_reason="lost_or_stolen_card")
    assert tell(type, failure).remark == "Reinstated 10 credits."
    assert moves() == [("topup", 25), ("clawback", -10), ("reinstatement", 10)]
    assert StripeRefund.objects.get().reason == "lost_or_stolen_card"


@pytest.mark.parametrize("status", ["pending", "succeeded", "requires_action"])
def test_a_refund_that_failed_stays_so_whatever_comes_late(paid, tell, status):
    tell("refund.failed", refund_of(INTENT, 1000, status="failed"), created=1_700_000_000)
    tell("refund.updated", refund_of(INTENT, 1000, status=status), created=1_700_000_001)
    assert moves() == [("topup", 25)]
    assert StripeRefund.objects.get().status == "failed"


@pytest.mark.parametrize("order", [("pending", "succeeded"), ("succeeded", "pending")])
def test_of_two_reports_of_one_second_the_one_that_succeeded_counts(paid, tell, order):
    for status in order:
        tell("refund.updated", refund_of(INTENT, 1000, status=status), created=1_700_000_000)
    assert StripeRefund.objects.get().status == "succeeded"


def test_a_whole_refund_takes_all_and_a_user_may_then_owe(paid, tell):
    spend(20)
    tell("refund.created", refund_of(INTENT, 2500))
    assert available_of("usr_1") == -20
    with pytest.raises(InsufficientCredits):
        spend(1)


def test_the_next_top_up_pays_the_debt_first(paid, tell, deliver, checkout_event):
    spend(20)
    tell("refund.created", refund_of(INTENT, 2500))
    deliver(checkout_event("cs_test_2"))
    assert available_of("usr_1") == 5
    spend(5)


def test_a_refund_names_its_payment_by_an_id_or_an_object(paid, tell):
    tell("refund.created", refund_of(INTENT, 1000, payment_intent={"id": INTENT, "object": "payment_intent"}))
    assert moves() == [("topup", 25), ("clawback", -10)]


# --- Several refunds ----------------------------------------------------------------------------------


def test_several_refunds_add_up_and_one_that_fails_comes_back(paid, tell):
    tell("refund.created", refund_of(INTENT, 1000, id="re_1"))
    tell("refund.created", refund_of(INTENT, 700, id="re_2"))
    tell("refund.updated", refund_of(INTENT, 700, id="re_2"))
    assert available_of("usr_1") == 8
    tell("refund.failed", refund_of(INTENT, 1000, id="re_1", status="failed"))
    assert moves() == [("topup", 25), ("clawback", -10), ("clawback", -7), ("reinstatement", 10)]


def test_more_reversed_than_paid_takes_no_more_than_the_top_up_gave(paid, tell):
    tell("refund.created", refund_of(INTENT, 2000, id="re_1"))
    tell("refund.created", refund_of(INTENT, 2000, id="re_2"))
    assert moves() == [("topup", 25), ("clawback", -20), ("clawback", -5)]
    tell("refund.failed", refund_of(INTENT, 2000, id="re_2", status="failed"))
    assert available_of("usr_1") == 5


def test_cents_are_counted_together_and_cut_to_whole_credits(deliver, checkout_event, tell):
    """$25.50 buy 25 credits: the first 50 cents that go back take no credit."""
    deliver(checkout_event(amount_total=2550))
    balances = []
    for number, cents in enumerate((50, 1, 99, 100, 2300)):
        tell("refund.created", refund_of(INTENT, cents, id=f"re_{number}"))
        balances.append(available_of("usr_1"))
    assert balances == [25, 24, 24, 23, 0]
    tell("refund.failed", refund_of(INTENT, 99, id="re_2", status="failed"))
    tell("refund.failed", refund_of(INTENT, 1, id="re_1", status="failed"))
    assert available_of("usr_1") == 1
    assert moves()[-1] == ("reinstatement", 1)


# --- What a charge says -------------------------------------------------------------------------------


def test_a_charge_alone_says_the_least_that_was_refunded(paid, tell):
    assert tell("charge.refunded", charge_of(INTENT, 1000)).remark == "Took back 10 credits."
    assert tell("refund.created", refund_of(INTENT, 1000)).remark == ""
    assert tell("charge.refunded", charge_of(INTENT, 1700)).remark == "Took back 7 credits."
    assert tell("refund.created", refund_of(INTENT, 700, id="re_2")).remark == ""
    assert tell("charge.refunded", charge_of(INTENT, 1000)).remark == ""  # A late one.
    assert Payment.objects.get(pk=INTENT).refunded_cents == 1700
    assert available_of("usr_1") == 8


@pytest.mark.parametrize("sinks", [True, False])
def test_a_refund_that_fails_comes_back_also_if_only_its_charge_was_reported(paid, tell, sinks):
    tell("charge.refunded", charge_of(INTENT, 1000))
    failure = refund_of(INTENT, 1000, status="failed")
    assert tell("refund.failed", failure).remark == "Reinstated 10 credits."
    tell("charge.refunded", charge_of(INTENT, 0 if sinks else 1000))
    assert moves() == [("topup", 25), ("clawback", -10), ("reinstatement", 10)]
    tell("refund.created", refund_of(INTENT, 500, id="re_2"))
    tell("charge.refunded", charge_of(INTENT, 500 if sinks else 1500))
    assert available_of("usr_1") == 20


def test_a_charge_without_refunds_takes_nothing(paid, tell):
    assert tell("charge.refunded", charge_of(INTENT, 0)).remark == ""
    assert moves() == [("topup", 25)]


# --- Before the top-up --------------------------------------------------------------------------------


def test_a_refund_that_comes_first_waits_for_its_top_up(tell, deliver, checkout_event):
    event = tell("refund.created", refund_of(INTENT, 1000))
    assert (event.state, event.remark, event.user_id) == ("handled", LATER, "")
    assert not Entry.objects.exists()
    assert deliver(checkout_event()).status_code == 200
    assert moves() == [("topup", 25), ("clawback", -10)]
    assert Entry.objects.get(kind="clawback").reason == "Reported before its top-up."
    event.refresh_from_db()
    assert (event.state, event.user_id) == ("handled", "usr_1")


def test_a_whole_refund_that_comes_first_leaves_nothing_and_both_rows(tell, deliver, checkout_event):
    tell("charge.refunded", charge_of(INTENT, 2500))
    deliver(checkout_event())
    assert moves() == [("topup", 25), ("clawback", -25)]


def test_a_refund_that_came_and_failed_first_leaves_no_trace_in_the_books(tell, deliver, checkout_event):
    tell("refund.created", refund_of(INTENT, 1000, status="pending"))
    tell("refund.failed", refund_of(INTENT, 1000, status="failed"))
    deliver(checkout_event())
    assert moves() == [("topup", 25)]


def test_the_payment_that_a_later_event_names_first_brings_its_refund(tell, deliver, checkout_event):
    deliver(checkout_event(payment_intent=None))
    tell("refund.created", refund_of(INTENT, 1000))
    assert moves() == [("topup", 25)]
    deliver(checkout_event(type="checkout.session.async_payment_succeeded"))
    assert moves() == [("topup", 25), ("clawback", -10)]
    assert TopUp.objects.get().payment_intent_id == INTENT


# --- Delayed payments ---------------------------------------------------------------------------------


def test_a_delayed_payment_is_on_its_way_then_paid_then_refunded(deliver, checkout_event, tell):
    deliver(checkout_event(payment_status="unpaid"))
    assert (TopUp.objects.get().state, moves()) == ("pending", [])
    deliver(checkout_event(type="checkout.session.async_payment_succeeded"))
    tell("refund.created", refund_of(INTENT, 2500))
    deliver(checkout_event(event_id="evt_late", payment_status="unpaid"))
    assert TopUp.objects.get().state == "paid"
    assert moves() == [("topup", 25), ("clawback", -25)]


def test_a_payment_that_failed_after_its_credit_is_for_staff(paid, deliver, checkout_event):
    failure = checkout_event(type="checkout.session.async_payment_failed", payment_status="unpaid")
    deliver(failure)
    event = StripeEvent.objects.get(pk=failure["id"])
    assert event.state == "parked"
    assert event.remark == f"Stripe says that the payment failed, but its credits came in, as {paid.pk}."
    assert moves() == [("topup", 25)]


@pytest.mark.parametrize("expires_first", [True, False])
def test_an_expiry_never_undoes_a_payment(deliver, checkout_event, expires_first):
    expired = checkout_event(
        type="checkout.session.expired", status="expired", payment_status="unpaid", payment_intent=None
    )
    events = [expired, checkout_event()] if expires_first else [checkout_event(), expired]
    for event in events:
        deliver(event)
    topup = TopUp.objects.get()
    assert (topup.state, topup.payment_intent_id, moves()) == ("paid", INTENT, [("topup", 25)])


# --- By hand ------------------------------------------------------------------------------------------


@pytest.fixture
def resolve(deliver, checkout_event):
    """Staff resolve the payment, which came in euros, with credits or without."""

    def resolve_it(credits):
        deliver(checkout_event(currency="eur"))
        return by_hand.resolve(
            StripeEvent.objects.get(type="checkout.session.completed"),
            user_id="usr_1" if credits else "",
            credits=credits,
            reason="Looked at Stripe",
            key="form-1",
            actor="user:staff:ada",
        )

    return resolve_it


def test_a_refund_of_a_payment_given_by_hand_is_for_staff(resolve, tell):
    resolve(27)
    event = tell("refund.created", refund_of(INTENT, 1000))
    assert (event.state, moves()) == ("parked", [("adjustment", 27)])
    assert event.remark == "The credits of this payment were given by hand: take back what is due by hand."


def test_a_refund_of_a_payment_closed_by_hand_has_nothing_to_take(resolve, tell):
    resolve(None)
    event = tell("refund.created", refund_of(INTENT, 1000))
    assert (event.state, moves()) == ("handled", [])
    assert event.remark == "Staff closed this payment without credits: there is nothing to take back."


@pytest.mark.parametrize("credits", [27, None])
def test_a_refund_that_came_before_staff_decided_changes_nothing_after(resolve, tell, credits):
    tell("refund.created", refund_of(INTENT, 1000))
    resolve(credits)
    again = StripeEvent.objects.get(type="refund.created")
    inbox.handle(again)
    assert again.state == ("parked" if credits else "handled")
    assert available_of("usr_1") == (credits or 0)


def test_a_parked_event_of_a_refund_is_resolved_by_hand(resolve, tell):
    resolve(27)
    event = tell("refund.created", refund_of(INTENT, 1000))
    by_hand.resolve(event, reason="Took them by hand", key="form-2", actor="user:staff:ada")
    event.refresh_from_db()
    assert event.state == "resolved"
    assert Payment.objects.get(pk=INTENT).state == "by_hand"


# --- Two sessions of one payment ----------------------------------------------------------------------


def test_a_second_session_of_one_payment_is_credited_and_marked(paid, tell, deliver, checkout_event):
    deliver(checkout_event("cs_test_2", payment_intent=INTENT, user_id="usr_2"))
    second = TopUp.objects.get(stripe_session_id="cs_test_2")
    assert second.remark == f"Its payment {INTENT} was reported before, for cs_test_1."
    tell("refund.created", refund_of(INTENT, 1000))
    assert (moves(), moves("usr_2")) == ([("topup", 25), ("clawback", -10)], [("topup", 25)])


# --- Twice --------------------------------------------------------------------------------------------


def test_an_event_that_comes_twice_or_is_replayed_moves_credits_once(paid, deliver):
    event = event_of("refund.created", refund_of(INTENT, 1000))
    for _ in range(3):
        deliver(event)
    stored = StripeEvent.objects.get(pk=event["id"])
    assert (stored.tries, json.loads(stored.payload)) == (1, event)
    inbox.handle(stored)
    assert (stored.tries, stored.state) == (2, "handled")
    assert moves() == [("topup", 25), ("clawback", -10)]
