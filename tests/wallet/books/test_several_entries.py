"""A wallet may move by several charges in one update; by raw SQL, whatever they leave open is refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.wallet.books.guards import refuser
from tests.wallet.entries import insert_entry, move, sql
from tests.wallet.granted import grant, set_budget
from tests.wallet.resting import resting_triggers
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.models import Entry, Wallet

FEATURE = "blog.article.generate"
FOLLOWS, MOVES = "wallet_entry_follows_its_wallet|does not follow", "without an entry that says so"


@pytest.fixture
def wallet(give, article_rate):
    """A user with 10 credits from one checkout."""
    give("usr_1", 10)


@pytest.fixture
def refused(wallet):
    return refuser(Wallet, Entry)


def change(by: int, entries: int, user_id: str = "usr_1") -> None:
    """Move a wallet's row alone."""
    sql(
        "UPDATE wallet_wallet SET balance = balance + %s, entries_count = entries_count + %s"
        " WHERE user_id = %s",
        by,
        entries,
        user_id,
    )


def charge(
    sequence: int | None, credits: int, balance_after: int | None, user_id: str = "usr_1", **facts: Any
) -> str:
    """Write the entry of a charge of so many credits."""
    row = {"kind": "deduct", "feature": FEATURE, "count": 1, "held": 0} | facts
    return insert_entry(user_id, sequence=sequence, credits=-credits, balance_after=balance_after, **row)


def charges(*which: tuple[int, int, int]) -> None:
    for each in which:
        charge(*each)


def balances() -> list[tuple[int, int]]:
    return list(Entry.objects.order_by("sequence").values_list("sequence", "balance_after"))


# --- What is accepted -------------------------------------------------------------------------------


def test_three_charges_follow_one_update(wallet):
    with transaction.atomic():
        change(-6, 3)
        charges((2, 1, 9), (3, 2, 7), (4, 3, 4))
        connection.check_constraints()
    assert balances() == [(1, 10), (2, 9), (3, 7), (4, 4)]
    assert available_of("usr_1") == 4


COLUMNS = (
    "id, wallet_id, sequence, kind, credits, balance_after, feature, count, product, idempotency_key,"
    " stripe_session_id, actor, reason, held"
)


def in_one_statement(*which: tuple[int, int, int]) -> None:
    """Insert charges by one statement, in this order. The database gives the times."""
    row = "(%s, 'usr_1', %s, 'deduct', %s, %s, 'blog.article.generate', 1, 'blog', '', '', 'sql', '', 0)"
    values = [value for n, credits, after in which for value in (f"txn_{n}", n, -credits, after)]
    sql(f"INSERT INTO wallet_entry ({COLUMNS}) VALUES {', '.join([row] * len(which))}", *values)


def test_one_statement_writes_the_entries_in_their_order(wallet):
    with transaction.atomic():
        change(-6, 3)
        in_one_statement((2, 1, 9), (3, 2, 7), (4, 3, 4))
        connection.check_constraints()
    assert balances() == [(1, 10), (2, 9), (3, 7), (4, 4)]


def test_two_updates_of_one_transaction_may_have_several_entries_each(wallet):
    with transaction.atomic():
        change(-3, 2)
        charges((2, 1, 9), (3, 2, 7))
        move("usr_1", 1)
        change(-4, 2)
        charges((5, 3, 5), (6, 1, 4))
        connection.check_constraints()
    assert available_of("usr_1") == 4


# --- What the entries leave open --------------------------------------------------------------------


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(2, 1, 9)],
        [(2, 1, 9), (3, 2, 7)],  # The last one is missing.
        [(4, 3, 4)],  # The first two are missing.
        [(2, 6, 4)],
    ],
)
def test_a_missing_entry_is_noticed_at_the_commit(refused, entries):
    def attempt():
        change(-6, 3)
        charges(*entries)

    refused(MOVES, attempt)


@pytest.mark.parametrize(
    "entries",
    [
        [(2, 1, 9), (4, 3, 4), (3, 2, 7)],  # The last one before the one in the middle.
        [(4, 3, 4), (2, 1, 9), (3, 2, 7)],
        [(3, 2, 7), (2, 1, 9), (4, 3, 4)],
        [(2, 1, 9), (3, 2, 8)],  # It leaves more than it says.
        [(2, 1, 10)],
        [(2, 1, 9), (3, 2, 6)],
        [(2, 1, 9), (5, 3, 4)],  # Beyond what the wallet counts.
    ],
)
def test_an_entry_that_does_not_follow_the_one_before_it_is_refused(refused, entries):
    def attempt():
        change(-6, 3)
        charges(*entries)

    refused(FOLLOWS, attempt)


def test_a_wrong_order_in_one_statement_is_refused(refused):
    def attempt():
        change(-6, 3)
        in_one_statement((2, 1, 9), (4, 3, 4), (3, 2, 7))

    refused(FOLLOWS, attempt)


def test_a_place_is_taken_once(refused):
    def attempt():
        change(-6, 3)
        charges((2, 1, 9), (2, 1, 9))

    refused("wallet_entry_one_per_place", attempt)


def test_the_entries_take_what_the_wallet_lost(refused):
    def attempt():
        change(-7, 3)
        charges((2, 1, 9), (3, 2, 7), (4, 3, 3))

    refused(MOVES, attempt)  # The last one has the wallet's balance, but not from the one before it.

    def taken_elsewhere():
        change(-7, 3)
        charges((2, 1, 9), (3, 2, 7), (4, 3, 4))

    refused(FOLLOWS, taken_elsewhere)


def test_entries_of_another_wallet_do_not_count(refused, give):
    give("usr_2", 10)

    def attempt():
        change(-3, 2)
        charge(2, 1, 9)
        charge(3, 2, 7, user_id="usr_2")

    refused(FOLLOWS, attempt)


@pytest.mark.parametrize("by", [-6, 0, 6])
@pytest.mark.parametrize("entries", [-1, 0, 2, 10**9])
def test_a_count_that_no_entries_explain_is_refused(refused, by, entries):
    if (by, entries) != (0, 0):
        refused(f"{MOVES}|wallet_wallet_starts_empty", lambda: change(by, entries))


# --- Several entries are charges of a plain wallet ----------------------------------------------------


@pytest.mark.parametrize("kind", ["adjustment", "clawback", "refund", "topup"])
def test_an_entry_of_another_kind_has_an_update_of_its_own(refused, kind):
    facts = {"kind": kind, "stripe_session_id": "cs_1"}

    def in_the_middle():
        change(-6, 3)
        charge(2, 1, 9)
        charge(3, 2, 7, **facts)
        charge(4, 3, 4)

    def at_the_end():
        change(-3, 2)
        charge(2, 1, 9)
        charge(3, 2, 7, **facts)

    refused(FOLLOWS, in_the_middle)
    refused(f"{MOVES}|sign_fits_kind|refund_names_its_charge", at_the_end)


def test_no_charge_adds_credits(refused):
    def attempt():
        change(0, 2)
        charges((2, -5, 15), (3, 5, 10))

    refused("sign_fits_kind", attempt)


def test_no_charge_goes_below_what_is_held(refused):
    def attempt():
        change(-12, 2)
        charges((2, 11, -1), (3, 1, -2))

    refused("wallet_entry_leaves_what_is_held", attempt)


@pytest.mark.parametrize("held", [None, 1])
def test_each_entry_says_what_is_held(refused, held):
    def attempt():
        change(-3, 2)
        charge(2, 1, 9, held=held)
        charge(3, 2, 7)

    refused(FOLLOWS, attempt)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda: grant(credits=5),
        lambda: set_budget(100),
        lambda: ledger.set_frozen("usr_1", frozen=True),
    ],
    ids=["a grant", "a budget", "a freeze"],
)
def test_a_wallet_that_is_not_plain_moves_by_one_entry_at_a_time(refused, prepare):
    prepare()
    count, balance = Wallet.objects.values_list("entries_count", "balance").get()

    def attempt():
        change(-3, 2)
        charges((count + 1, 1, balance - 1), (count + 2, 2, balance - 3))

    refused(FOLLOWS, attempt)


# --- Attacks with several updates -------------------------------------------------------------------


def test_one_entry_does_not_stand_for_two_updates(refused):
    def attempt():
        change(-3, 1)
        change(-3, 1)
        charge(2, 6, 4)

    refused(f"{MOVES}|{FOLLOWS}", attempt)


def test_two_updates_are_not_explained_by_entries_of_other_sizes(refused):
    def attempt():
        change(-2, 1)
        change(-4, 1)
        charges((2, 3, 7), (3, 3, 4))

    refused(MOVES, attempt)


def test_an_update_that_adds_credits_is_not_explained_by_charges(refused):
    def attempt():
        change(5, 1)
        change(-6, 1)
        charges((2, 0, 10), (3, 1, 9))

    refused("sign_fits_kind|moves_something", attempt)


def test_an_update_by_several_entries_is_not_explained_by_an_earlier_one(refused):
    """The second update repeats the balance and the count of the first."""

    def attempt():
        change(-3, 2)
        charges((2, 1, 9), (3, 2, 7))
        change(3, -2)
        change(-3, 2)

    refused(MOVES, attempt)


@pytest.mark.breaks_the_books
def test_a_gap_of_old_is_not_filled(wallet):
    """An entry that a superuser removed is not written anew, even by a charge that would fit."""
    move("usr_1", -1, kind="deduct", feature=FEATURE, count=1, held=0)
    move("usr_1", -2, kind="deduct", feature=FEATURE, count=1, held=0)
    connection.check_constraints()
    with resting_triggers():
        sql("DELETE FROM wallet_entry WHERE sequence = 2")
    with pytest.raises(Exception, match="does not follow"), transaction.atomic():
        charge(2, 1, 9)
    move("usr_1", -3, kind="deduct", feature=FEATURE, count=1, held=0)  # The wallet itself goes on.
    assert available_of("usr_1") == 4


# --- Time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [timedelta(days=-40), timedelta(seconds=-5), timedelta(days=40)])
def test_the_time_never_falls_among_several_entries(wallet, off):
    now = timezone.now()
    with transaction.atomic():
        change(-6, 3)
        for entry, at in ((2, 1, 9), now), ((3, 2, 7), now + off), ((4, 3, 4), None):
            charge(*entry, created_at=at)
    times: list[datetime] = list(Entry.objects.order_by("sequence").values_list("created_at", flat=True))
    assert times == sorted(times)
    [(moment,)] = sql("SELECT clock_timestamp()")
    assert times[-1] <= moment
