"""The laws about payments as queries: each bend of a top-up, its payment or its reversals is named.

The books are broken as only an operator with a superuser's rights could: triggers rest. It is rolled back.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.wallet.entries import insert_entry, sql
from tests.wallet.lawless import found, the
from tests.wallet.resting import rest
from tests.wallet.reversed import charge_of, dispute_of, refund_of
from wallet.books.laws import payments
from wallet.models import StripeEvent, TopUp, Wallet
from wallet.payments import reversals

TOPUP, CREDITED, LEFT = payments.LAWS_OF_WALLETS
PAID, DECIDED, BY_HAND, UNDECIDED = payments.LAWS_OF_THE_WHOLE

pytestmark = pytest.mark.breaks_the_books

SESSION, INTENT = "cs_test_2", "pi_cs_test_2"


@pytest.fixture
def reversed_too(books):
    """usr_2's $5 less a refund of $2 and a dispute of $1: 2 credits. No trigger runs from now on."""
    at = timezone.now()
    reversals.refund(refund_of(INTENT, 200), happened_at=at)
    reversals.charge(charge_of(INTENT, 200), happened_at=at)
    reversals.dispute(dispute_of(INTENT, -100), happened_at=at)
    assert found() == []
    connection.check_constraints()
    rest()


def topup_id():
    return TopUp.objects.get(user_id="usr_2").pk


def named():
    """The laws that name a row, with the row."""
    return sorted((law, subject) for law, subject, _ in found())


# --- The top-up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cents", "holds"), [(499, False), (500, True), (599, True), (600, False)])
def test_a_credit_for_each_whole_dollar(lawless, cents, holds):
    sql("UPDATE wallet_topup SET paid_cents = %s WHERE user_id = 'usr_2'", cents)
    broken = [
        (TOPUP, the("topup", "usr_2"), f"session cs_test_2, 5 credits, paid {cents} cents"),
        (LEFT, "usr_2 cs_test_2", f"5 credits, paid {cents} cents, 0 refunded, 0 disputed"),
    ]
    assert found() == ([] if holds else broken)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_topup SET user_id = 'usr_1' WHERE user_id = 'usr_2'",
        "UPDATE wallet_topup SET stripe_session_id = 'cs_test_3' WHERE user_id = 'usr_2'",
        "DELETE FROM wallet_topup WHERE user_id = 'usr_2'",
        "UPDATE wallet_topup SET state = 'failed', entry_id = NULL WHERE user_id = 'usr_2'",
    ],
)
def test_a_top_up_entry_without_the_checkout_it_stands_for(lawless, change):
    entry = the("topup", "usr_2")
    sql(change)
    details = {(law, subject): detail for law, subject, detail in found()}
    assert details[TOPUP, entry].startswith("session cs_test_2, 5 credits, paid ")
    assert (LEFT, "usr_2 cs_test_2") in details


@pytest.mark.parametrize("intent", ["pi_other", ""])
def test_a_top_up_of_another_payment_intent(lawless, intent):
    sql("UPDATE wallet_topup SET payment_intent_id = %s WHERE user_id = 'usr_2'", intent)
    undecided = [(UNDECIDED, topup_id(), f"{intent} is not recorded")] if intent else []
    assert found() == [(DECIDED, INTENT, f"credited as {the('topup', 'usr_2')} for usr_2"), *undecided]


def test_a_top_up_with_the_payment_intent_of_another(lawless):
    sql("UPDATE wallet_topup SET payment_intent_id = 'pi_cs_test_1' WHERE user_id = 'usr_2'")
    assert named() == [(DECIDED, INTENT)]


def add_entry(credits, **entry):
    """A consistent entry of usr_2, whatever it stands for; its id."""
    [(balance, count)] = sql(
        "UPDATE wallet_wallet SET balance = balance + %s, entries_count = entries_count + 1"
        " WHERE user_id = 'usr_2' RETURNING balance, entries_count",
        credits,
    )
    return insert_entry("usr_2", credits=credits, balance_after=balance, sequence=count, **entry)


def test_a_top_up_entry_that_was_made_up_without_a_top_up(lawless):
    made_up = add_entry(100, kind="topup", stripe_session_id="cs_made_up")
    assert found() == [
        (TOPUP, made_up, "session cs_made_up, 100 credits, paid  cents"),
        (CREDITED, made_up, "session cs_made_up, not recorded"),
        (LEFT, "usr_2 cs_made_up", "100 credits, paid  cents,  refunded,  disputed"),
    ]


@pytest.mark.parametrize("days", [0, 60])
def test_a_top_up_entry_that_was_made_up_with_its_top_up(lawless, days):
    made_up = add_entry(100, kind="topup", stripe_session_id="cs_made_up")
    topup = TopUp.objects.create(
        user_id="usr_2",
        state="paid",
        paid_cents=10_000,
        stripe_session_id="cs_made_up",
        payment_intent_id="pi_made_up",
        entry_id=made_up,
        paid_at=timezone.now() - timedelta(days=days),
    )
    assert found() == [
        (UNDECIDED, topup.pk, "pi_made_up is not recorded"),
        (CREDITED, made_up, "session cs_made_up, not recorded"),
    ]


def test_a_top_up_raised_with_its_entry_but_not_its_row(lawless):
    entry = the("topup", "usr_2")
    sql("UPDATE wallet_entry SET credits = 105, balance_after = 105 WHERE id = %s", entry)
    sql("UPDATE wallet_wallet SET balance = 105 WHERE user_id = 'usr_2'")
    assert named() == sorted([(TOPUP, entry), (LEFT, "usr_2 cs_test_2")])


def test_a_wallet_whose_top_up_was_erased(lawless):
    for table, column in (("topup", "user_id"), ("entry", "wallet_id"), ("wallet", "user_id")):
        sql(f"DELETE FROM wallet_{table} WHERE {column} = 'usr_2'")
    assert named() == [(DECIDED, SESSION), (DECIDED, INTENT)]


def test_a_paid_top_up_whose_entry_is_a_charge(lawless):
    [topup] = TopUp.objects.filter(user_id="usr_2")
    charge, credited = the("deduct"), the("topup", "usr_2")
    sql("UPDATE wallet_topup SET entry_id = %s WHERE id = %s", charge, topup.pk)
    assert found() == [
        (PAID, topup.pk, charge),
        (DECIDED, INTENT, f"credited as {credited} for usr_2"),
        (TOPUP, credited, "session cs_test_2, 5 credits, paid  cents"),
    ]


def test_a_lost_first_entry(lawless):
    sql("DELETE FROM wallet_entry WHERE wallet_id = 'usr_2'")
    sql("UPDATE wallet_wallet SET balance = 0, entries_count = 0 WHERE user_id = 'usr_2'")
    [topup] = TopUp.objects.filter(user_id="usr_2")
    lost = f"credited as {topup.entry_id} for usr_2"
    assert sorted(found()) == sorted(
        [(PAID, topup.pk, topup.entry_id), (DECIDED, SESSION, lost), (DECIDED, INTENT, lost)]
    )


# --- The payment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_id", ["usr_1", "usr_2"])
def test_a_payment_that_was_credited_by_itself_and_by_hand(lawless, user_id):
    sql(
        "UPDATE wallet_wallet SET balance = balance + 5, entries_count = entries_count + 1"
        " WHERE user_id = %s",
        user_id,
    )
    wallet = Wallet.objects.get(pk=user_id)
    given = insert_entry(
        user_id,
        credits=5,
        balance_after=wallet.balance,
        sequence=wallet.entries_count,
        stripe_session_id=SESSION,
    )
    assert found() == [(CREDITED, given, f"session cs_test_2, {the('topup', 'usr_2')}")]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("SET user_id = 'usr_1'", [DECIDED, CREDITED]),
        ("SET session_id = 'cs_test_1'", [DECIDED]),
        ("SET state = 'by_hand'", [DECIDED]),
        ("SET state = 'known', session_id = '', user_id = '', entry_id = ''", [CREDITED]),
        ("SET state = 'closed', user_id = '', entry_id = ''", [CREDITED]),
        ("SET stripe_id = 'cs_other'", [CREDITED]),
        ("SET entry_id = (SELECT id FROM wallet_entry WHERE kind = 'deduct')", [DECIDED, CREDITED]),
    ],
)
def test_the_row_of_a_session_that_was_changed(lawless, change, broken):
    entry = the("topup", "usr_2")
    sql(f"UPDATE wallet_payment {change} WHERE stripe_id = %s", SESSION)
    wanted = [(law, SESSION if law == DECIDED else entry) for law in broken]
    if "cs_other" in change:  # It is now taken for a payment intent.
        wanted.append((DECIDED, "cs_other"))
    if "by_hand" in change or "closed" in change:
        wanted.append((BY_HAND, SESSION))
    assert named() == sorted(wanted)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("SET user_id = 'usr_1'", DECIDED),
        ("SET session_id = 'cs_test_1'", DECIDED),
        ("SET state = 'by_hand'", DECIDED),
        ("SET state = 'known', session_id = '', user_id = '', entry_id = ''", UNDECIDED),
        ("SET refunded_cents = 100", LEFT),
    ],
)
def test_the_row_of_a_payment_intent_that_was_changed(lawless, change, broken):
    sql(f"UPDATE wallet_payment {change} WHERE stripe_id = %s", INTENT)
    subjects = {DECIDED: INTENT, UNDECIDED: topup_id(), LEFT: "usr_2 cs_test_2"}
    by_hand = [(BY_HAND, INTENT)] if "by_hand" in change else []
    assert named() == sorted([(broken, subjects[broken]), *by_hand])


def test_the_rows_of_a_payment_that_were_deleted(lawless):
    sql("DELETE FROM wallet_payment WHERE stripe_id = %s", SESSION)
    missing = (CREDITED, the("topup", "usr_2"))
    assert named() == [missing]
    sql("DELETE FROM wallet_payment WHERE stripe_id = %s", INTENT)
    assert named() == sorted([missing, (UNDECIDED, topup_id())])


def test_credits_given_by_hand_whose_payment_was_deleted(lawless):
    given = add_entry(5, kind="adjustment", stripe_session_id="cs_by_hand")
    assert found() == [(CREDITED, given, "session cs_by_hand, not recorded")]


# --- Its refunds and disputes -----------------------------------------------------------------------


def test_a_clawback_that_nothing_explains(lawless):
    sql("INSERT INTO wallet_wallet VALUES ('usr_3', -5, 1, now())")
    insert_entry("usr_3", credits=-5, balance_after=-5, sequence=1, kind="clawback")
    assert named() == [(LEFT, "usr_3")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wallet_striperefund SET amount_cents = 300",
        "UPDATE wallet_striperefund SET status = 'failed'",
        "UPDATE wallet_stripedispute SET movements = '{}'",
        "UPDATE wallet_stripedispute SET movements = movements || '{\"txn_2\": -100}'",
        "UPDATE wallet_stripedispute SET movements = '[]'",
        'UPDATE wallet_stripedispute SET movements = \'{"txn_1": "x"}\'',
        "UPDATE wallet_stripedispute SET payment_intent_id = 'pi_cs_test_1'",
        "DELETE FROM wallet_stripedispute",
        "UPDATE wallet_payment SET refunded_cents = 300 WHERE refunded_cents = 200",
        "DELETE FROM wallet_striperefund; UPDATE wallet_payment SET refunded_cents = 0",
        "DELETE FROM wallet_entry WHERE kind = 'clawback'",
        "UPDATE wallet_entry SET kind = 'adjustment' WHERE kind = 'clawback'",
        "UPDATE wallet_entry SET stripe_session_id = 'cs_test_1' WHERE kind = 'clawback'",
    ],
)
def test_reversals_that_were_changed(reversed_too, change):
    sql(change)
    assert (LEFT, "usr_2 cs_test_2") in named()


def test_a_refund_that_was_deleted_is_still_in_what_the_charge_said(reversed_too):
    sql("DELETE FROM wallet_striperefund")
    assert found() == []


def test_a_part_of_a_credit_is_no_violation(reversed_too):
    """$5 less 200 and 100 cents leaves 2 credits; of one cent more, 1 credit."""
    sql("UPDATE wallet_topup SET paid_cents = 599 WHERE user_id = 'usr_2'")
    assert found() == []
    sql("UPDATE wallet_striperefund SET amount_cents = 299")
    assert found() == []
    sql("UPDATE wallet_striperefund SET amount_cents = 300")
    assert named() == [(LEFT, "usr_2 cs_test_2")]


# --- Settled by hand --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["by_hand", "closed"])
def test_a_payment_that_only_its_row_calls_settled_by_hand(lawless, state):
    """Reconciliation passes such a payment over, so an invented row would hide what is wrong with it."""
    entry_id, user_id = ("", "")
    if state == "by_hand":
        entry_id, user_id = add_entry(5, kind="adjustment", stripe_session_id="cs_by_hand"), "usr_2"
    sql(
        "INSERT INTO wallet_payment VALUES ('cs_by_hand', %s, 'cs_by_hand', %s, %s, 0, now())",
        state,
        user_id,
        entry_id,
    )
    assert found() == [(BY_HAND, "cs_by_hand", f"{state} for cs_by_hand")]
    StripeEvent.objects.create(
        id="evt_1", type="checkout.session.completed", state="resolved", stripe_session_id="cs_by_hand"
    )
    assert found() == []
