"""Each way to bend a top-up in the database is named by check_ledger, by reconcile_stripe, or by both.

The books are bent as only an operator with a superuser's rights could: the triggers rest.
"""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet.books import days, laws
from wallet.models import Entry, Payment, TopUp

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_on_its_way")]

# Which laws of check_ledger name a bend.
TOPUP = "Every top-up entry stands for one paid checkout of the same user, at a credit a whole dollar"
CREDITED = "Every entry that credits a payment is the one that the payment names"
LEFT = "What a user has from a payment is what Stripe has left of it"
ENTRY = "Every paid top-up has its entry"
INTENT = "The payment intent of every paid top-up is decided"
DECIDED = "Every decided payment has its entry, and its payment intent is that of the top-up"
BY_HAND = "Every payment that was settled by hand has the event that staff resolved"
BALANCE = "A wallet's balance is the sum of its entries"


@pytest.fixture
def paid(stand_in, start_topup, deliver):
    """usr_1 paid $25 and has 25 credits; usr_2 paid $40."""
    topups = [start_topup("usr_1", 25), start_topup("usr_2", 40)]
    for topup in topups:
        stand_in.happens("pay", topup.stripe_session_id)
        for event in stand_in.events(topup.stripe_session_id):
            deliver(event)
    connection.check_constraints()  # What is due from before; a table with open business cannot be altered.
    return TopUp.objects.get(user_id="usr_1")


def violated():
    """The laws that check_ledger finds broken."""
    return {violation.law for violation in laws.violations()}


def found(*options):
    """What reconcile_stripe finds: the kind, the object at Stripe, and the user."""
    out = StringIO()
    try:
        call_command("reconcile_stripe", "--json", "--since", "2d", *options, stdout=out)
    except SystemExit:
        pass
    findings = json.loads(out.getvalue())["findings"]
    return {(each["kind"], each["stripe_id"], each["user_id"]) for each in findings}


def bend(query, *values):
    with resting_triggers():
        sql(query, *values)


def named(laws_broken, kinds):
    """Whether check_ledger names these laws, and others only with them, and reconcile_stripe these kinds.

    Neither changes anything, nor does --apply.
    """
    broken, differences = violated(), found()
    before = [list(model.objects.order_by("pk").values()) for model in (Entry, TopUp, Payment)]
    assert found("--apply") == differences
    assert before == [list(model.objects.order_by("pk").values()) for model in (Entry, TopUp, Payment)]
    assert broken >= laws_broken
    assert bool(broken) == bool(laws_broken)
    assert {kind for kind, _, _ in differences} == kinds
    return True


def test_before_a_bend_both_find_the_books_in_order(paid):
    assert named(set(), set())


# --- One column -------------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("change", "laws_broken", "kinds"),
    [
        ("paid_cents = paid_cents + 10000", {TOPUP, LEFT}, {"amount"}),
        ("paid_cents = paid_cents - 100", {TOPUP, LEFT}, {"amount"}),
        ("paid_cents = paid_cents + 1", set(), {"amount"}),
        ("user_id = 'usr_2'", {TOPUP, LEFT}, {"user"}),
        ("user_id = 'usr_new'", {TOPUP, LEFT}, {"user"}),
        ("stripe_session_id = 'cs_test_other'", {TOPUP, LEFT}, {"payment"}),
        ("payment_intent_id = 'pi_other'", {DECIDED, INTENT}, {"payment"}),
        ("entry_id = NULL, state = 'failed'", {TOPUP, LEFT, DECIDED}, {"state"}),
    ],
)
def test_a_top_up_of_which_one_column_was_changed(paid, change, laws_broken, kinds):
    bend(f"UPDATE wallet_topup SET {change} WHERE id = %s", paid.pk)
    assert named(laws_broken, kinds)


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("change", "laws_broken", "kinds"),
    [
        ("stripe_session_id = 'cs_test_other'", {TOPUP, CREDITED, LEFT, DECIDED}, {"payment", "unpaid"}),
        ("wallet_id = 'usr_2', sequence = 2", {TOPUP, CREDITED, LEFT, DECIDED, BALANCE}, {"user"}),
        ("credits = 125", {TOPUP, LEFT, BALANCE}, {"amount"}),
    ],
)
def test_an_entry_of_which_one_column_was_changed(paid, change, laws_broken, kinds):
    bend(f"UPDATE wallet_entry SET {change} WHERE id = %s", paid.entry_id)
    assert named(laws_broken, kinds)


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("change", "laws_broken", "kinds"),
    [
        ("user_id = 'usr_2'", {CREDITED, DECIDED}, {"user"}),
        ("entry_id = 'txn_other'", {CREDITED, DECIDED}, {"state"}),
        ("state = 'by_hand'", {DECIDED, BY_HAND}, {"state"}),
        ("session_id = 'cs_test_other'", {DECIDED}, {"payment"}),
    ],
)
def test_a_row_of_the_payment_of_which_one_column_was_changed(paid, change, laws_broken, kinds):
    bend(f"UPDATE wallet_payment SET {change} WHERE stripe_id = %s", paid.stripe_session_id)
    assert named(laws_broken, kinds)


@pytest.mark.breaks_the_books
def test_a_payment_intent_that_is_recorded_for_another_session(paid):
    bend(
        "UPDATE wallet_payment SET session_id = 'cs_test_other' WHERE stripe_id = %s", paid.payment_intent_id
    )
    assert named({DECIDED}, {"payment"})


# --- Whole payments ---------------------------------------------------------------------------------


@pytest.mark.breaks_the_books
def test_a_top_up_raised_by_100_dollars_together_with_all_that_adds_up(paid):
    """No law sees it: only Stripe knows what was paid."""
    bend("UPDATE wallet_topup SET paid_cents = paid_cents + 10000 WHERE id = %s", paid.pk)
    bend(
        "UPDATE wallet_entry SET credits = credits + 100, balance_after = balance_after + 100 WHERE id = %s",
        paid.entry_id,
    )
    bend("UPDATE wallet_wallet SET balance = balance + 100 WHERE user_id = 'usr_1'")
    days.close_days(now=timezone.now() + timedelta(days=2))
    assert named(set(), {"amount"})


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("paid_at", [timedelta(0), timedelta(days=60)])
def test_a_fake_top_up_that_adds_up(paid, give, paid_at):
    entry = give("usr_9", 100, session_id="cs_test_fake")
    long_ago = timezone.now() - paid_at
    with resting_triggers():
        TopUp.objects.filter(entry=entry).update(paid_at=long_ago, created_at=long_ago)
    assert found() == {("unpaid", "cs_test_fake", "usr_9")}
    assert named(set(), {"unpaid"})


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("session_id", ["cs/../cs", "cs test", "?limit=1", "é" * 200])
def test_a_fake_top_up_with_an_id_that_is_none(paid, give, session_id):
    """An address with such an id could ask Stripe for something else, or end the run with an error."""
    give("usr_9", 100, session_id=session_id)
    assert found() == {("unpaid", session_id, "usr_9")}


@pytest.mark.breaks_the_books
def test_a_fake_top_up_without_a_row(paid, give):
    topup = give("usr_9", 100, session_id="cs_test_fake").topup
    with resting_triggers():
        topup.delete()
    assert found() == {("unpaid", "cs_test_fake", "usr_9")}
    assert named({TOPUP, LEFT}, {"unpaid"})


@pytest.mark.breaks_the_books
def test_a_fake_top_up_with_the_id_of_an_unpaid_session(paid, give, stand_in):
    session_id = stand_in.new_session(user_id="usr_9")
    give("usr_9", 25, session_id=session_id)
    assert named(set(), {"unpaid"})


@pytest.mark.breaks_the_books
def test_a_fake_top_up_with_the_id_of_a_paid_session_of_another_kind(paid, give, stand_in):
    session_id = stand_in.paid_session(user_id="usr_9", type="tip")
    give("usr_9", 25, session_id=session_id)
    assert named(set(), {"unpaid"})


@pytest.mark.breaks_the_books
def test_a_top_up_whose_row_was_deleted(paid):
    bend("DELETE FROM wallet_topup WHERE id = %s", paid.pk)
    assert named({TOPUP, LEFT, DECIDED}, {"state"})


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("payments_too", [False, True])
def test_a_whole_wallet_that_was_erased(paid, payments_too):
    bend("DELETE FROM wallet_topup WHERE user_id = 'usr_1'")
    bend("DELETE FROM wallet_entry WHERE wallet_id = 'usr_1'")
    bend("DELETE FROM wallet_wallet WHERE user_id = 'usr_1'")
    if not payments_too:
        assert named({DECIDED}, {"uncredited"})
        return
    bend("DELETE FROM wallet_payment WHERE user_id = 'usr_1'")
    assert (violated(), found()) == (set(), {("uncredited", paid.stripe_session_id, "usr_1")})
    # As after an old backup was restored: the payment is credited again.
    assert found("--apply") == {("credited", paid.stripe_session_id, "usr_1")}
    assert (violated(), found()) == (set(), set())
    assert Entry.objects.get(wallet_id="usr_1").credits == 25
