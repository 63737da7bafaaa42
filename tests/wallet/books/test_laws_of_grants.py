"""The laws that came with grants and budgets, as queries: each corruption is named, with the row and figures.

L2 to L6 and L8 to L10 of the contract are broken here as only an operator with a superuser's rights could.
The rows and their names are those of `granted_books` (conftest.py); a change is written with these names.
"""

import pytest
from django.db import transaction

from tests.wallet.entries import move, sql
from tests.wallet.lawless import found
from wallet.books import laws

GRANTED = "A wallet's granted credits are what its lots have left"  # L2
LEFT = "A lot has left what its moves come to"  # L3
SET_ASIDE = "A lot holds what open holds have set aside of it"  # L4
MOVES = "An entry moves lots in its own direction, and by no more than its credits"  # L5
ENDS = "A lot pays for nothing that was asked for after its end, and is not written off before"  # L6
OVERDRAWN = "Only clawbacks and captures take paid credits below zero"  # L8
GOT_BACK = "A lot gets back no more than it paid of that charge"  # L9
COUNTED = "A budget has counted what was spent in its period"  # L10
BUDGETS = "A wallet counts its budgets"  # L10
MONTHS = "What a product has granted in a month is what its grants come to"
HELD = "What is held is what open holds hold"  # L1
SUM = "A wallet's balance is the sum of its entries"
PLACES = "A wallet counts its entries, numbered from 1 without a gap"
CHAIN = "Each balance_after is the one before plus the entry's credits"
CONSTRAINTS = "The constraints that keep the laws are in force"
PAYMENTS = "What a user has from a payment is what Stripe has left of it"

OTHERWISE = ", and one says otherwise"
FEATURE = "blog.article.generate"
MIDNIGHT = "2020-01-01 00:00:00"
OF_DAY, OF_MONTH = "usr_1 user day", "usr_1 product blog month"

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


def is_named(rows, change, *expected):
    """Make a change, compare every violation with what is expected, and roll the change back."""
    with transaction.atomic():
        sql(change.format(**rows))
        named = [(law, subject.format(**rows), detail.format(**rows)) for law, subject, detail in expected]
        # Whether a move says otherwise has a test of its own.
        all_found = [(law, subject, detail.removesuffix(OTHERWISE)) for law, subject, detail in found()]
        assert sorted(all_found) == sorted(named), change
        transaction.set_rollback(True)


def each_is_named(rows, changes):
    for change, expected in changes.items():
        is_named(rows, change, *expected)


def test_the_books_that_are_broken_here_have_something_of_each_kind(granted_books):
    lots = sql("SELECT remaining, held, expired, voided_at IS NULL FROM wallet_lot ORDER BY expires_at, id")
    assert lots == [(0, 0, 0, True), (3, 0, 0, True), (5, 3, 0, True), (0, 0, 4, False)]  # A, D, B, C.
    wallets = sql("SELECT balance, held, granted, budgets FROM wallet_wallet ORDER BY user_id")
    assert wallets == [(35, 3, 5, 2), (1, 0, 3, 0)]
    assert sql("SELECT spent, starts::text FROM wallet_budget") == [(17, "2020-01-01")] * 2


# --- L2: what is granted, L3: what is left, L4: what is held ------------------------------------------


def test_a_wallet_that_was_granted_other_than_its_lots_have_left(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_wallet SET granted = 6 WHERE user_id = 'usr_1'": [
                (GRANTED, "usr_1", "6 granted, lots have 5")
            ],
            "UPDATE wallet_wallet SET granted = 0": [
                (GRANTED, "usr_1", "0 granted, lots have 5"),
                (GRANTED, "usr_2", "0 granted, lots have 3"),
            ],
            "UPDATE wallet_lot SET remaining = 6 WHERE id = '{B}'": [
                (GRANTED, "usr_1", "5 granted, lots have 6"),
                (LEFT, "{B}", "6 left and 0 written off, moves come to 5 and 0"),
            ],
            "DELETE FROM wallet_lot WHERE id = '{D}'": [
                (GRANTED, "usr_2", "3 granted, lots have 0"),
                (MOVES, "{grant of D}", "grant of 3 moved lots by 3"),
            ],
            "UPDATE wallet_lot SET wallet_id = 'usr_1' WHERE id = '{D}'": [
                (GRANTED, "usr_1", "5 granted, lots have 8"),
                (GRANTED, "usr_2", "3 granted, lots have 0"),
                (LEFT, "{D}", "3 left and 0 written off, moves come to 0 and 0"),
                (MOVES, "{grant of D}", "grant of 3 moved lots by 3"),
            ],
        },
    )


def test_a_lot_that_has_left_other_than_its_moves_come_to(granted_lawless):
    more_in_all = "UPDATE wallet_wallet SET granted = 6 WHERE user_id = 'usr_1'"
    each_is_named(
        granted_lawless,
        {
            f"UPDATE wallet_lot SET remaining = 6 WHERE id = '{{B}}'; {more_in_all}": [
                (LEFT, "{B}", "6 left and 0 written off, moves come to 5 and 0")
            ],
            "UPDATE wallet_lot SET expired = 3 WHERE id = '{C}'": [
                (LEFT, "{C}", "0 left and 3 written off, moves come to 0 and 4")
            ],
            "UPDATE wallet_lot SET expired = 1 WHERE id = '{A}'": [
                (LEFT, "{A}", "0 left and 1 written off, moves come to 0 and 0")
            ],
            # The grant gave 10, and the lot's own entry was another one.
            "UPDATE wallet_lot SET credits = 11 WHERE id = '{A}'": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 0 and 0")
            ],
            "UPDATE wallet_lot SET entry_id = '{charge}' WHERE id = '{A}'": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 0 and 0")
            ],
            "UPDATE wallet_lotmove SET credits = -9 WHERE lot_id = '{A}' AND credits = -10": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 1 and 0")
            ],
            "DELETE FROM wallet_lotmove WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 4 and 0")
            ],
        },
    )


def test_a_move_that_says_otherwise_than_the_moves_up_to_it(granted_lawless):
    """What a lot had left at a past time is read from it."""
    wrong = (
        "UPDATE wallet_lotmove SET remaining_after = remaining_after + %s WHERE lot_id = %s AND credits = %s"
    )
    lot = granted_lawless["B"]
    for credits in (9, -2, 1):
        sql(wrong, 1, lot, credits)
        assert found() == [(LEFT, lot, f"5 left and 0 written off, moves come to 5 and 0{OTHERWISE}")]
        sql(wrong, -1, lot, credits)
    assert found() == []


def test_a_lot_that_holds_other_than_open_holds_have_set_aside(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_lot SET held = 2 WHERE id = '{B}'": [
                (SET_ASIDE, "{B}", "2 held, open holds have set 3 aside")
            ],
            "UPDATE wallet_lot SET held = 1 WHERE id = '{D}'": [
                (SET_ASIDE, "{D}", "1 held, open holds have set 0 aside")
            ],
            "UPDATE wallet_holdpart SET credits = 2 WHERE hold_id = '{open}'": [
                (SET_ASIDE, "{B}", "3 held, open holds have set 2 aside")
            ],
            "DELETE FROM wallet_holdpart WHERE hold_id = '{open}'": [
                (SET_ASIDE, "{B}", "3 held, open holds have set 0 aside")
            ],
            "UPDATE wallet_holdpart SET lot_id = '{A}' WHERE hold_id = '{open}'": [
                (SET_ASIDE, "{A}", "0 held, open holds have set 3 aside"),
                (SET_ASIDE, "{B}", "3 held, open holds have set 0 aside"),
            ],
            "UPDATE wallet_hold SET state = 'voided', ended_at = created_at WHERE id = '{open}'": [
                (HELD, "usr_1", "3 credits in 1 holds, open holds are 0 credits in 0"),
                (SET_ASIDE, "{B}", "3 held, open holds have set 0 aside"),
                (COUNTED, OF_DAY, "17 counted since 2020-01-01, 14 spent"),
                (COUNTED, OF_MONTH, "17 counted since 2020-01-01, 14 spent"),
            ],
        },
    )


# --- L5: moves ----------------------------------------------------------------------------------------


def test_an_entry_that_moves_lots_another_way_or_further(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_lotmove SET credits = -1 WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 3 and 0"),
                (MOVES, "{refund}", "refund of 1 moved lots by -1"),
            ],
            "UPDATE wallet_lotmove SET credits = -11 WHERE lot_id = '{A}' AND credits = -10": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to -1 and 0"),
                (MOVES, "{charge}", "deduct of -12 moved lots by -13"),
            ],
            # One move goes the entry's way and one goes the other way, and the sum looks right.
            "UPDATE wallet_lotmove SET credits = CASE credits WHEN -10 THEN 2 ELSE -14 END"
            " WHERE credits IN (-10, -2) AND wallet_id = 'usr_1'": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 12 and 0"),
                (LEFT, "{B}", "5 left and 0 written off, moves come to -7 and 0"),
                (MOVES, "{charge}", "deduct of -12 moved lots by -12"),
            ],
            "UPDATE wallet_lotmove SET credits = 9 WHERE lot_id = '{A}' AND credits = 10": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to -1 and 0"),
                (MOVES, "{grant of A}", "grant of 10 moved lots by 9"),
            ],
            "UPDATE wallet_lotmove SET credits = -3 WHERE lot_id = '{C}' AND credits = -4": [
                (LEFT, "{C}", "0 left and 4 written off, moves come to 1 and 3"),
                (MOVES, "{expiry}", "expiry of -4 moved lots by -3"),
            ],
        },
    )


def test_a_grant_and_an_expiry_that_move_no_lot(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "DELETE FROM wallet_lotmove WHERE lot_id = '{A}' AND credits = 10": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to -10 and 0"),
                (MOVES, "{grant of A}", "grant of 10 credits moved no lot"),
            ],
            "DELETE FROM wallet_lotmove WHERE lot_id = '{C}' AND credits = -4": [
                (LEFT, "{C}", "0 left and 4 written off, moves come to 4 and 0"),
                (MOVES, "{expiry}", "expiry of -4 credits moved no lot"),
            ],
        },
    )


@pytest.mark.parametrize(("kind", "credits"), [("grant", 5), ("expiry", -1)])
def test_a_new_entry_of_grants_without_a_lot(granted_lawless, kind, credits):
    entry = move("usr_1", credits, kind=kind, held=3)
    assert found() == [(MOVES, entry, f"{kind} of {credits} credits moved no lot")]


def test_payments_that_move_lots(granted_lawless):
    back = "reinstatement of 9 moved lots by 9"
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_lotmove SET sequence = 1 WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 5 and 0"),
                (MOVES, "{topup}", "topup of 30 moved lots by 1"),
            ],
            "UPDATE wallet_entry SET kind = 'clawback' WHERE id = '{expiry}'": [
                (LEFT, "{C}", "0 left and 4 written off, moves come to 0 and 0"),
                (MOVES, "{expiry}", "clawback of -4 moved lots by -4"),
                (PAYMENTS, "usr_1", "-4 credits, paid  cents,  refunded,  disputed"),
            ],
            "UPDATE wallet_entry SET kind = 'reinstatement' WHERE id = '{grant of B}'": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 5 and 0"),
                (MOVES, "{grant of B}", back),
                (PAYMENTS, "usr_1", "9 credits, paid  cents,  refunded,  disputed"),
            ],
        },
    )


def test_moves_whose_entry_or_lot_is_missing(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_lotmove SET sequence = 99 WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 5 and 0"),
                (MOVES, "usr_1 99", " of  moved lots by 1"),
            ],
            "UPDATE wallet_lotmove SET lot_id = 'grant_none' WHERE lot_id = '{A}' AND credits = -10": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 10 and 0"),
                (MOVES, "{charge}", "deduct of -12 moved lots by -12"),
            ],
            "DELETE FROM wallet_lot WHERE id = '{A}'": [
                (MOVES, "{grant of A}", "grant of 10 moved lots by 10"),
                (MOVES, "{charge}", "deduct of -12 moved lots by -12"),
            ],
            "UPDATE wallet_lot SET wallet_id = 'usr_2' WHERE id = '{A}'": [
                (LEFT, "{A}", "0 left and 0 written off, moves come to 0 and 0"),
                (MOVES, "{grant of A}", "grant of 10 moved lots by 10"),
                (MOVES, "{charge}", "deduct of -12 moved lots by -12"),
            ],
            "DELETE FROM wallet_entry WHERE id = '{refund}'": [
                (SUM, "usr_1", "balance 35, entries add up to 34"),
                (PLACES, "usr_1", "8 counted, 7 there, last number 8"),
                (CHAIN, "{capture}", "37 -3 gave 35"),
                (MOVES, "usr_1 7", " of  moved lots by 1"),
                (COUNTED, OF_DAY, "17 counted since 2020-01-01, 18 spent"),
                (COUNTED, OF_MONTH, "17 counted since 2020-01-01, 18 spent"),
            ],
        },
    )


# --- L6: ends -----------------------------------------------------------------------------------------

VOID = "voided_at = created_at - interval '1 microsecond', removed = 0, held_when_voided = 0"
JUST_BEFORE = "2019-12-31 23:59:59.999999"
ASKED = f"asked for at {MIDNIGHT}"


def test_a_lot_that_paid_after_its_end_or_was_written_off_before(granted_lawless):
    """A capture counts by its hold: both were asked for at midnight."""
    each_is_named(
        granted_lawless,
        {
            f"UPDATE wallet_lot SET {VOID} WHERE id = '{{A}}'": [
                (ENDS, "{charge}", f"deduct, {ASKED}, of {{A}} that ended at {JUST_BEFORE}")
            ],
            f"UPDATE wallet_lot SET {VOID} WHERE id = '{{B}}'": [
                (ENDS, "{charge}", f"deduct, {ASKED}, of {{B}} that ended at {JUST_BEFORE}"),
                (ENDS, "{capture}", f"capture, {ASKED}, of {{B}} that ended at {JUST_BEFORE}"),
            ],
            "UPDATE wallet_lot SET expires_at = expires_at - interval '1 day',"
            " created_at = created_at - interval '1 day' WHERE id = '{A}'": [
                (ENDS, "{charge}", f"deduct, {ASKED}, of {{A}} that ended at {MIDNIGHT}")
            ],
            "UPDATE wallet_lot SET voided_at = voided_at + interval '1 microsecond' WHERE id = '{C}'": [
                (ENDS, "{expiry}", f"expiry, {ASKED}, of {{C}} that ended at {MIDNIGHT}.000001")
            ],
            "UPDATE wallet_lot SET voided_at = NULL, removed = NULL, held_when_voided = NULL"
            " WHERE id = '{C}'": [
                (ENDS, "{expiry}", f"expiry, {ASKED}, of {{C}} that ended at 2020-01-04 00:00:00")
            ],
        },
    )


def test_a_lot_pays_until_the_microsecond_before_its_end(granted_lawless):
    just_after = "created_at + interval '1 microsecond'"
    is_named(granted_lawless, f"UPDATE wallet_lot SET expires_at = {just_after} WHERE id = '{{A}}'")


def test_a_lot_pays_until_it_is_taken_back(granted_lawless):
    """Both may have the same time: the clock was set back, or it stands still."""
    same_time = VOID.replace(" - interval '1 microsecond'", "")
    is_named(granted_lawless, f"UPDATE wallet_lot SET {same_time} WHERE id IN ('{{A}}', '{{B}}')")


def test_a_capture_may_come_after_the_end_of_the_lot_that_was_set_aside(granted_lawless):
    later = "created_at = created_at + interval '10 minutes'"
    void = VOID.replace("- interval '1 microsecond'", "+ interval '5 minutes'")
    change = f"UPDATE wallet_lot SET {void} WHERE id = '{{B}}';"
    is_named(granted_lawless, f"{change} UPDATE wallet_entry SET {later} WHERE id = '{{capture}}'")


# --- L8: paid credits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deduct", "adjustment"])
def test_paid_credits_that_go_below_zero_beside_a_lot(granted_lawless, kind):
    """The balance stays above 0, and so no constraint refuses it: the lot should have paid."""
    entry = move("usr_2", -1, kind=kind, feature=FEATURE, count=1, product="mail", held=0)
    assert found() == [(OVERDRAWN, entry, f"{kind} took 1 paid credits and left -3")]


@pytest.mark.parametrize("credits", [1, 2])
def test_a_charge_of_which_the_lot_pays_too_little(granted_lawless, credits):
    """The lot pays 1 credit. Of a charge of 2, the debt would pay the other one."""
    sql("ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held")
    facts = {"kind": "deduct", "feature": FEATURE, "count": 1, "product": "mail", "held": 0}
    entry = move("usr_2", -credits, created_at=f"{MIDNIGHT}Z", **facts)
    sql(
        "INSERT INTO wallet_lotmove (wallet_id, sequence, lot_id, credits, remaining_after)"
        " SELECT 'usr_2', sequence, %s, -1, 2 FROM wallet_entry WHERE id = %s",
        granted_lawless["D"],
        entry,
    )
    sql("UPDATE wallet_lot SET remaining = 2 WHERE id = %s", granted_lawless["D"])
    sql("UPDATE wallet_wallet SET granted = 2 WHERE user_id = 'usr_2'")
    overdrawn = [(OVERDRAWN, entry, "deduct took 1 paid credits and left -3")] if credits == 2 else []
    assert [each for each in found() if each[0] != CONSTRAINTS] == overdrawn


# --- L9: what comes back ------------------------------------------------------------------------------


def test_a_lot_that_got_back_more_than_it_paid_of_the_charge(granted_lawless):
    in_step = (
        "UPDATE wallet_lotmove SET remaining_after = remaining_after + 2"
        " WHERE lot_id = '{B}' AND sequence > 6;"
        " UPDATE wallet_lot SET remaining = remaining + 2 WHERE id = '{B}';"
        " UPDATE wallet_wallet SET granted = granted + 2 WHERE user_id = 'usr_1'"
    )
    each_is_named(
        granted_lawless,
        {
            # As if paid credits had paid what B did.
            f"DELETE FROM wallet_lotmove WHERE lot_id = '{{B}}' AND credits = -2; {in_step}": [
                (GOT_BACK, "{charge}", "{B} got back 1 of 0")
            ],
            "UPDATE wallet_lotmove SET credits = 3 WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 7 and 0"),
                (MOVES, "{refund}", "refund of 1 moved lots by 3"),
                (GOT_BACK, "{charge}", "{B} got back 3 of 2"),
            ],
            # It went to a lot that paid nothing of it.
            "UPDATE wallet_lotmove SET lot_id = '{C}' WHERE lot_id = '{B}' AND credits = 1": [
                (LEFT, "{B}", "5 left and 0 written off, moves come to 4 and 0"),
                (LEFT, "{C}", "0 left and 4 written off, moves come to 1 and 4"),
                (GOT_BACK, "{charge}", "{C} got back 1 of 0"),
            ],
        },
    )


# --- L10: budgets, and months of products -------------------------------------------------------------


def test_a_budget_that_has_counted_other_than_what_was_spent(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_budget SET spent = 18 WHERE period = 'day'": [
                (COUNTED, OF_DAY, "18 counted since 2020-01-01, 17 spent")
            ],
            "UPDATE wallet_budget SET spent = 0": [
                (COUNTED, OF_DAY, "0 counted since 2020-01-01, 17 spent"),
                (COUNTED, OF_MONTH, "0 counted since 2020-01-01, 17 spent"),
            ],
            "UPDATE wallet_budget SET starts = '2019-12-31' WHERE period = 'day'": [
                (COUNTED, OF_DAY, "17 counted since 2019-12-31, 0 spent")
            ],
            "UPDATE wallet_budget SET product = 'mail' WHERE period = 'month'": [
                (COUNTED, "usr_1 product mail month", "17 counted since 2020-01-01, 0 spent")
            ],
            # What holds and charges say changes what was spent.
            "UPDATE wallet_hold SET product = 'mail' WHERE id = '{open}'": [
                (COUNTED, OF_MONTH, "17 counted since 2020-01-01, 14 spent")
            ],
            "UPDATE wallet_entry SET product = 'mail' WHERE id = '{charge}'": [
                (COUNTED, OF_MONTH, "17 counted since 2020-01-01, 6 spent")
            ],
        },
    )


def test_a_hold_counts_in_the_period_in_which_it_was_made(granted_lawless):
    earlier = "UPDATE wallet_hold SET created_at = created_at - interval '1 microsecond' WHERE id = "
    counted = "17 counted since 2020-01-01, 14 spent"
    for name in ("'{open}'", "'{captured}'"):
        is_named(granted_lawless, earlier + name, (COUNTED, OF_DAY, counted), (COUNTED, OF_MONTH, counted))


def test_what_is_spent_in_one_period_is_nothing_in_the_others(granted_lawless):
    others = {"day": ("2019-12-31", "2020-01-02"), "month": ("2019-12-01", "2020-02-01")}
    for period, starts in others.items():
        for start in starts:
            change = f"UPDATE wallet_budget SET starts = '{start}', spent = 0 WHERE period = '{period}'"
            is_named(granted_lawless, change)


def test_a_wallet_that_counts_its_budgets_wrong(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_wallet SET budgets = 3 WHERE user_id = 'usr_1'": [
                (BUDGETS, "usr_1", "3 counted, 2 there")
            ],
            "DELETE FROM wallet_budget WHERE period = 'month'": [(BUDGETS, "usr_1", "2 counted, 1 there")],
            "UPDATE wallet_budget SET wallet_id = 'usr_2' WHERE period = 'month'": [
                (BUDGETS, "usr_1", "2 counted, 1 there"),
                (BUDGETS, "usr_2", "0 counted, 1 there"),
                (COUNTED, "usr_2 product blog month", "17 counted since 2020-01-01, 2 spent"),
            ],
        },
    )


def test_a_product_that_granted_other_than_was_counted(granted_lawless):
    each_is_named(
        granted_lawless,
        {
            "UPDATE wallet_grantedmonth SET credits = 15 WHERE product = 'blog'": [
                (MONTHS, "blog 2020-01-01", "15 counted, grants come to 14")
            ],
            "UPDATE wallet_grantedmonth SET month = '2020-02-01' WHERE product = 'blog'": [
                (MONTHS, "blog 2020-01-01", "0 counted, grants come to 14"),
                (MONTHS, "blog 2020-02-01", "14 counted, grants come to 0"),
            ],
            "DELETE FROM wallet_grantedmonth WHERE product = 'mail'": [
                (MONTHS, "mail 2020-01-01", "0 counted, grants come to 3")
            ],
            "INSERT INTO wallet_grantedmonth (product, month, credits) VALUES ('reach', '2020-01-01', 5)": [
                (MONTHS, "reach 2020-01-01", "5 counted, grants come to 0")
            ],
            "UPDATE wallet_entry SET product = 'reach' WHERE id = '{grant of A}'": [
                (MONTHS, "blog 2020-01-01", "14 counted, grants come to 4"),
                (MONTHS, "reach 2020-01-01", "0 counted, grants come to 10"),
            ],
            # Grants of staff are of no product, and have no cap.
            "UPDATE wallet_entry SET product = '' WHERE id = '{grant of D}'": [
                (MONTHS, "mail 2020-01-01", "3 counted, grants come to 0")
            ],
        },
    )


def test_the_month_of_a_grant_is_that_of_utc(granted_lawless):
    """A session with another time zone finds the same."""
    sql("SET LOCAL timezone = 'America/Los_Angeles'")
    assert laws.violations() == []
