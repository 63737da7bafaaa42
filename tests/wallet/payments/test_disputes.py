"""Disputes of a top-up, as Stripe's events report them. Only money that moved counts, not the status."""

import itertools

import pytest

from tests.wallet.reversed import charge_of, dispute_of, event_of, refund_of
from wallet.books.funds import available_of
from wallet.models import Entry, StripeEvent
from wallet.payments.models import StripeDispute

pytestmark = pytest.mark.django_db

INTENT = "pi_cs_test_1"


@pytest.fixture
def tell(deliver, checkout_event):
    """usr_1 has paid $25; Stripe reports something of it in an event of its own. The stored event."""
    assert deliver(checkout_event()).status_code == 200
    numbers = itertools.count()

    def send(type, about, **event):
        event = event_of(type, about, id=f"evt_{next(numbers)}", **event)
        assert deliver(event).status_code == 200
        return StripeEvent.objects.get(pk=event["id"])

    return send


def moves():
    return list(Entry.objects.order_by("sequence").values_list("kind", "credits"))


# --- What moves no money ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "status"),
    [
        ("charge.dispute.created", "warning_needs_response"),
        ("charge.dispute.updated", "warning_under_review"),
        ("charge.dispute.closed", "warning_closed"),
        ("charge.dispute.created", "needs_response"),
        ("charge.dispute.closed", "prevented"),
        ("charge.dispute.closed", "lost"),
        ("charge.dispute.updated", "appeal_under_review"),
        ("charge.dispute.updated", "a status to come"),
    ],
)
def test_a_dispute_that_moved_no_money_takes_nothing(tell, type, status):
    event = tell(type, dispute_of(INTENT, status=status))
    assert (event.state, event.remark, event.user_id) == ("handled", "", "usr_1")
    assert moves() == [("topup", 25)]
    assert StripeDispute.objects.get().status == status


# --- What moves money ---------------------------------------------------------------------------------


def test_funds_that_are_withdrawn_take_the_credits(tell):
    tell("charge.dispute.created", dispute_of(INTENT))
    event = tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2500))
    assert (event.remark, event.user_id) == ("Took back 25 credits.", "usr_1")
    assert moves() == [("topup", 25), ("clawback", -25)]
    assert Entry.objects.get(kind="clawback").reason == "Dispute dp_1."
    tell("charge.dispute.closed", dispute_of(INTENT, -2500, status="lost"))
    assert available_of("usr_1") == 0
    dispute = StripeDispute.objects.get()
    assert (dispute.status, dispute.withdrawn_cents, dispute.reason) == ("lost", 2500, "fraudulent")


@pytest.mark.parametrize("by_its_end", [True, False])
def test_a_dispute_that_is_won_brings_the_credits_back(tell, by_its_end):
    tell("charge.dispute.created", dispute_of(INTENT, -2500))
    won = dispute_of(INTENT, -2500, 2500, status="won")
    first, second = ("closed", "funds_reinstated") if by_its_end else ("funds_reinstated", "closed")
    assert tell(f"charge.dispute.{first}", won).remark == "Reinstated 25 credits."
    assert tell(f"charge.dispute.{second}", won).remark == ""
    assert moves() == [("topup", 25), ("clawback", -25), ("reinstatement", 25)]


def test_a_dispute_that_is_lost_may_return_a_part(tell):
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2500))
    tell("charge.dispute.closed", dispute_of(INTENT, -2500, 1050, status="lost"))
    assert moves() == [("topup", 25), ("clawback", -25), ("reinstatement", 10)]


def test_a_dispute_of_a_part_takes_a_part(tell):
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -901))
    assert moves() == [("topup", 25), ("clawback", -10)]


def test_a_report_that_forgets_a_movement_takes_nothing_away(tell):
    """An older report that comes late has fewer movements than are known."""
    tell("charge.dispute.closed", dispute_of(INTENT, -2500, 2500, status="won"), created=1_700_000_002)
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2500), created=1_700_000_001)
    tell("charge.dispute.created", dispute_of(INTENT), created=1_700_000_000)
    assert moves() == [("topup", 25)]
    dispute = StripeDispute.objects.get()
    assert (dispute.status, len(dispute.movements)) == ("won", 2)


def test_a_report_of_one_second_keeps_the_outcome(tell):
    for status in ("lost", "needs_response"):
        tell("charge.dispute.updated", dispute_of(INTENT, -2500, status=status), created=1_700_000_000)
    assert StripeDispute.objects.get().status == "lost"


def test_two_disputes_of_one_payment_add_up(tell):
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -1000, id="dp_1"))
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -500, id="dp_2"))
    assert available_of("usr_1") == 10
    tell("charge.dispute.funds_reinstated", dispute_of(INTENT, -1000, 1000, id="dp_1", status="won"))
    assert available_of("usr_1") == 20


def test_a_dispute_that_returned_more_than_it_took_adds_nothing(tell):
    tell("charge.dispute.closed", dispute_of(INTENT, -1000, 1200, status="won"))
    assert moves() == [("topup", 25)]


# --- With refunds -------------------------------------------------------------------------------------


def test_a_dispute_of_the_whole_charge_after_a_partial_refund(tell):
    tell("refund.created", refund_of(INTENT, 1000))
    tell("charge.refunded", charge_of(INTENT, 1000))
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2500))
    assert moves() == [("topup", 25), ("clawback", -10), ("clawback", -15)]
    tell("charge.dispute.closed", dispute_of(INTENT, -2500, 1000, status="lost"))
    assert available_of("usr_1") == 0
    tell("charge.dispute.closed", dispute_of(INTENT, -2500, 2500, status="won"), created=4_000_000_000)
    assert moves()[-1] == ("reinstatement", 15)


def test_a_refund_that_fails_while_a_dispute_holds_the_money(tell):
    tell("refund.created", refund_of(INTENT, 1000))
    tell("charge.dispute.funds_withdrawn", dispute_of(INTENT, -2500))
    tell("refund.failed", refund_of(INTENT, 1000, status="failed"))
    assert available_of("usr_1") == 0
    tell("charge.dispute.funds_reinstated", dispute_of(INTENT, -2500, 2500, status="won"))
    assert moves()[-1] == ("reinstatement", 25)


def test_a_dispute_that_comes_before_its_top_up(deliver, checkout_event):
    for number, moved in enumerate([(-2500,), (-2500, 500)]):
        about = dispute_of(INTENT, *moved, status="lost")
        deliver(event_of("charge.dispute.closed", about, id=f"evt_{number}"))
    deliver(checkout_event())
    assert moves() == [("topup", 25), ("clawback", -20)]
