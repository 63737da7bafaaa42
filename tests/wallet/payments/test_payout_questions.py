"""How often Stripe is asked for a payout, and what happens while it does not know one."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.wallet.payments.payout_rows import MARCH, money_in, moved, sent, this_month
from wallet.books import laws
from wallet.errors import WrongAnswer
from wallet.models import PayoutReading, StripeMovement, StripePayout
from wallet.payments.payouts import money, reading

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What moved at Stripe just now is read, too."""
    monkeypatch.setattr(reading, "SETTLING", timedelta(seconds=-1))


def test_payouts_are_followed_from_the_last_run_on_however_long_ago_it_was(told_by_stripe):
    sent("po_old", 1, 100)
    sent("po_young", 20, 200)
    sent("po_under_way", 2, 300, "in_transit")
    sent("po_failed", 21, 400, "failed")
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 3, 22, tzinfo=UTC))
    told_by_stripe.of["po_young"] = {"status": "failed"}
    reading.read()
    assert told_by_stripe.asked == ["po_under_way", "po_young"]
    states = dict(StripePayout.objects.values_list("id", "status"))
    assert states == {
        "po_old": "paid",
        "po_young": "failed",
        "po_under_way": "paid",
        "po_failed": "failed",
    }


def test_a_payout_of_which_stripe_never_says_what_is_in_it_holds_up_no_month(told_by_stripe):
    sent("po_1", 5, 100, itemized_at=None)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    told_by_stripe.of["po_1"] = {"status": "paid"}
    reading.read()
    assert money.close() == []
    told_by_stripe.of["po_1"] = {"status": "paid", "reconciliation_status": "not_applicable"}
    asked_for(days_ago=28)
    reading.read()
    assert money.close()[0] == MARCH.date()
    [payout] = money.payouts_of(MARCH.date())
    assert (payout.is_automatic, payout.is_itemized) == (False, False)


def asked_for(days_ago):
    """The last question for all payouts was so long ago."""
    StripePayout.objects.update(asked_at=timezone.now() - timedelta(days=days_ago))


# --- How often a payout is asked for ---------------------------------------------------------------------


def nights_of_questions(told_by_stripe, monkeypatch, nights):
    """Read every night. Return the nights, counted from 0, in which Stripe was asked for a payout."""
    start, asked = timezone.now(), []
    StripePayout.objects.update(created_at=start)
    for night in range(nights):
        monkeypatch.setattr(reading.timezone, "now", lambda night=night: start + timedelta(days=night))
        told_by_stripe.asked.clear()
        reading.read()
        asked += [night] if told_by_stripe.asked else []
    monkeypatch.undo()
    return asked


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        ({}, None),
        ({"itemized_at": None}, {"status": "paid"}),
        ({"status": "failed", "itemized_at": None}, {"status": "failed"}),
        ({"status": "in_transit"}, {"status": "in_transit"}),
    ],
    ids=["unknown", "not itemized", "failed and not itemized", "under way"],
)
def test_a_payout_that_nothing_settles_is_asked_for_more_and_more_seldom(
    told_by_stripe, monkeypatch, facts, answer
):
    yesterday = timezone.now() - timedelta(days=1)
    PayoutReading.objects.create(since=yesterday - timedelta(days=1), until=yesterday)
    sent("po_1", 5, 100, **facts)
    told_by_stripe.of["po_1"] = answer
    asked = nights_of_questions(told_by_stripe, monkeypatch, 400)
    assert asked[:15] == list(range(15))
    pauses = [later - earlier for earlier, later in pairwise(asked[14:])]
    assert pauses[:9] == [2, 2, 2, 2, 3, 3, 4, 4, 5]
    assert asked[-6:] == [244, 272, 300, 328, 356, 384]


def test_a_payout_whose_money_came_back_is_asked_for_at_once_however_old_it_is(told_by_stripe):
    sent("po_1", 5, 100, "paid", asked_at=timezone.now())
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 5, 2, tzinfo=UTC))
    reading.read()
    assert told_by_stripe.asked == []
    StripeMovement.objects.create(
        id="txn_1",
        created_at=timezone.now() - timedelta(days=1),
        category="payout_reversal",
        currency="usd",
        amount=100,
        fee=0,
        source_id="po_1",
    )
    told_by_stripe.of["po_1"] = {"status": "failed"}
    reading.read()
    assert StripePayout.objects.get().status == "failed"


# --- Payouts that Stripe does not know -------------------------------------------------------------------


def read_payouts(*options):
    """What the command writes, and its exit code."""
    out, code = StringIO(), 0
    try:
        call_command("read_payouts", *options, stdout=out)
    except SystemExit as exit:
        code = int(str(exit.code))
    return out.getvalue(), code


def test_a_payout_that_stripe_does_not_know_holds_up_no_other(life, stand_in, monkeypatch):
    life()
    yesterday = timezone.now() - timedelta(days=1)
    StripePayout.objects.create(
        id="po_other",  # It was read with a key of another account.
        created_at=yesterday,
        arrives_at=yesterday,
        amount=100,
        currency="usd",
        status="in_transit",
        is_automatic=True,
    )
    known = stand_in.sandbox.control("payouts")
    out, code = read_payouts()
    assert code == 1
    assert "Payout po_other of" in out
    assert known["id"] not in out
    assert StripePayout.objects.get(pk=known["id"]).itemized_at
    since = StripePayout.objects.get(pk="po_other").unknown_since
    assert read_payouts()[1] == 1
    assert StripePayout.objects.get(pk="po_other").unknown_since == since
    months = {each.id: each.state for each in money.payouts_of(this_month())}
    assert months[known["id"]] == "Paid"
    if "po_other" in months:  # Not on the first day of a month.
        assert months["po_other"] == "Unknown"
    monkeypatch.setattr(reading, "UNKNOWN_FOR", timedelta(0))  # A week later.
    out, code = read_payouts()
    assert code == 0
    assert "Payout po_other of" in out
    assert "It is asked for again by the next run." in out


def test_a_month_waits_a_week_for_a_payout_that_stripe_does_not_know(told_by_stripe):
    sent("po_1", 5, 100, itemized_at=None)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 5, 2, tzinfo=UTC))
    told_by_stripe.of["po_1"] = None
    reading.read()
    assert money.close() == []
    StripePayout.objects.update(unknown_since=timezone.now() - timedelta(days=8))
    assert [each.month for each in money.close()[:2]] == [3, 4]
    [payout] = money.payouts_of(MARCH.date())
    assert (payout.state, payout.is_itemized) == ("Unknown", False)


def test_a_payout_that_stripe_knows_again_after_its_month_was_closed(told_by_stripe, monkeypatch):
    moved("txn_1", 3, "charge", 2500)
    sent("po_1", 5, 2500, itemized_at=None, unknown_since=timezone.now() - timedelta(days=70))
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    assert money.close() == [MARCH.date()]
    closed = money_in(MARCH.date())
    asked_for(days_ago=9)  # After 61 days: the pause is 8 days.
    told_by_stripe.of["po_1"] = {"status": "paid", "reconciliation_status": "completed"}
    monkeypatch.setattr(
        reading.stripe_lists,
        "movements_in_payout",
        lambda payout_id: [[{"id": "txn_1", "reporting_category": "charge"}]],
    )
    reading.read()
    [payout] = money.payouts_of(MARCH.date())
    assert (payout.state, payout.is_itemized) == ("Paid", True)
    assert money_in(MARCH.date()) == closed
    assert {each.law for each in laws.violations()} == set()


def test_the_command_says_when_it_asks_for_an_unknown_payout_again(told_by_stripe):
    asked_at = timezone.now() - timedelta(days=1)
    sent("po_1", 5, 100, unknown_since=asked_at - timedelta(days=35), asked_at=asked_at)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 4, 2, tzinfo=UTC))
    out, code = read_payouts()
    assert f"asked for again from {asked_at + timedelta(days=5):%Y-%m-%d} on." in out
    assert (code, told_by_stripe.asked) == (0, [])
    told_by_stripe.of["po_1"] = {"status": "paid"}  # The operator has mended the key.
    out, code = read_payouts("--all")
    assert "po_1" not in out
    assert (code, told_by_stripe.asked) == (0, ["po_1"])


def test_a_payout_that_stripe_knows_again_is_as_the_others(told_by_stripe):
    sent("po_1", 5, 100, "in_transit")
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 5, 2, tzinfo=UTC))
    told_by_stripe.of["po_1"] = None
    reading.read()
    assert [each.pk for each in reading.unknown()] == ["po_1"]
    told_by_stripe.of["po_1"] = {"status": "paid"}
    reading.read()
    assert not reading.unknown().exists()
    assert money.payouts_of(MARCH.date())[0].state == "Paid"


def test_an_old_payout_is_asked_for_again_after_a_wrong_answer(told_by_stripe):
    sent("po_1", 5, 100)
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 3, 18, tzinfo=UTC))
    for answer, state in ((WrongAnswer(), "Unknown"), ({"status": "paid"}, "Paid")):
        told_by_stripe.of["po_1"] = answer
        reading.read()
        assert money.payouts_of(MARCH.date())[0].state == state


def test_a_wrong_answer_about_one_payout_holds_up_no_other(told_by_stripe, monkeypatch):
    sent("po_1", 5, 100, "in_transit")
    sent("po_2", 6, 100, "in_transit")
    PayoutReading.objects.create(since=MARCH, until=datetime(2026, 5, 2, tzinfo=UTC))
    told_by_stripe.of["po_1"] = WrongAnswer()
    reading.read()
    assert [each.pk for each in reading.unknown()] == ["po_1"]
    assert StripePayout.objects.get(pk="po_2").status == "paid"
