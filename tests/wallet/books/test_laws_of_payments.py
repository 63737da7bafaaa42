"""The laws about payments as queries: each bend of a top-up, its payment or its reversals is named.

The books are broken as only an operator with a superuser's rights could: triggers rest. It is rolled back.
"""

import pytest

from tests.wallet.entries import insert_entry, sql
from tests.wallet.lawless import found, the
from wallet.books import laws
from wallet.models import TopUp, Wallet

TOPUP, CREDITED, LEFT = list(laws.LAWS_OF_WALLETS)[-3:]
PAID, DECIDED = list(laws.LAWS_OF_THE_WHOLE)[1:3]

pytestmark = pytest.mark.breaks_the_books

SESSION, INTENT = "cs_test_2", "pi_cs_test_2"


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
    sql(change)
    [detail] = [
        detail for law, subject, detail in found() if (law, subject) == (TOPUP, the("topup", "usr_2"))
    ]
    assert detail.startswith("session cs_test_2, 5 credits, paid ")
    assert (LEFT, "usr_2 cs_test_2") in named()


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


# --- Its refunds and disputes -----------------------------------------------------------------------


def test_a_clawback_that_nothing_explains(lawless):
    sql("INSERT INTO wallet_wallet VALUES ('usr_3', -5, 1, now())")
    insert_entry("usr_3", credits=-5, balance_after=-5, sequence=1, kind="clawback")
    assert named() == [(LEFT, "usr_3")]
