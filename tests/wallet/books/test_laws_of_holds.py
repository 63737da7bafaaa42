"""The laws that came with holds, as queries: each corruption is named, with the row and the figures.

L1, L7, L8 and L16 of the contract are broken here as only an operator with a superuser's rights could:
triggers rest, a constraint is dropped. All of it is rolled back, or flushed where it was committed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from tests.wallet.books.conftest import BLOG
from tests.wallet.clock import Clock
from tests.wallet.entries import move, sql
from tests.wallet.lawless import found, the
from tests.wallet.resting import rest
from wallet.books import laws
from wallet.books.funds import funds_of
from wallet.charges import holds, lapsing
from wallet.models import Entry, Hold, Wallet

HELD = "What is held is what open holds hold"  # L1
CAPTURE = "A capture is of one hold, in its time, at its price, and never more"  # L7
UNPAID = "A captured hold has its entry"  # L7
OVERDRAWN = "Only clawbacks and captures take paid credits below zero"  # L8
WHOLE = "What came in less what went out is what wallets hold"  # L16
SUM = "A wallet's balance is the sum of its entries"
CONSTRAINTS = "The constraints that keep the laws are in force"
INDEXES = "The indexes that keep a key, a checkout and a hold to once are in force"

FEATURE = "blog.article.generate"

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]


@contextmanager
def undone() -> Iterator[None]:
    """Roll the block back at its end, so that a test can break the same books in many ways."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def hold_of(key):
    return Hold.objects.get(idempotency_key=key).pk


def broken():
    """The laws that are broken, with the rows."""
    return sorted((law, subject) for law, subject, _ in found())


def test_the_books_that_are_broken_here_have_something_of_each_kind(held_books):
    states = sorted(Hold.objects.values_list("state", flat=True))
    assert states == ["captured", "captured", "open", "open", "voided"]
    first, second = funds_of("usr_1"), funds_of("usr_2")
    assert (first.balance, first.held, first.available) == (40, 12, 28)
    assert (second.balance, second.held, second.available) == (-6, 0, -6)


# --- L1: what is held -------------------------------------------------------------------------------

HELD_CHANGES = {
    "UPDATE wallet_wallet SET held = 13 WHERE user_id = 'usr_1'": (
        "13 credits in 2 holds, open holds are 12 credits in 2"
    ),
    "UPDATE wallet_wallet SET held = 0 WHERE user_id = 'usr_1'": (
        "0 credits in 2 holds, open holds are 12 credits in 2"
    ),
    "UPDATE wallet_wallet SET open_holds = 1 WHERE user_id = 'usr_1'": (
        "12 credits in 1 holds, open holds are 12 credits in 2"
    ),
    "DELETE FROM wallet_hold WHERE idempotency_key = 'open'": (
        "12 credits in 2 holds, open holds are 5 credits in 1"
    ),
    "UPDATE wallet_hold SET credits = 6 WHERE idempotency_key = 'open'": (
        "12 credits in 2 holds, open holds are 11 credits in 2"
    ),
    "UPDATE wallet_hold SET state = 'voided', ended_at = created_at WHERE idempotency_key = 'open'": (
        "12 credits in 2 holds, open holds are 5 credits in 1"
    ),
    "UPDATE wallet_hold SET state = 'expired', ended_at = expires_at WHERE idempotency_key = 'open'": (
        "12 credits in 2 holds, open holds are 5 credits in 1"
    ),
    "UPDATE wallet_hold SET state = 'open', ended_at = NULL WHERE idempotency_key = 'voided'": (
        "12 credits in 2 holds, open holds are 18 credits in 3"
    ),
}


def test_a_wallet_that_holds_other_than_its_open_holds(held_lawless):
    for change, detail in HELD_CHANGES.items():
        with undone():
            sql(change)
            assert found() == [(HELD, "usr_1", detail)], change


def test_a_hold_that_went_to_another_wallet(held_lawless):
    sql("UPDATE wallet_hold SET wallet_id = 'usr_2' WHERE idempotency_key = 'open'")
    assert found() == [
        (HELD, "usr_1", "12 credits in 2 holds, open holds are 5 credits in 1"),
        (HELD, "usr_2", "0 credits in 0 holds, open holds are 7 credits in 1"),
    ]


def test_overdue_holds_break_no_law_before_and_after_their_end_is_written(held_books):
    clock = Clock()
    clock.set(Hold.objects.get(idempotency_key="open").expires_at)
    funds, wallet = funds_of("usr_1"), Wallet.objects.get(pk="usr_1")
    assert (funds.available, wallet.held, wallet.open_holds, found()) == (35, 12, 2, [])
    assert lapsing.lapse_wallet("usr_1") == (1, 0)
    wallet.refresh_from_db()
    assert (funds_of("usr_1").available, wallet.held, wallet.open_holds, found()) == (35, 5, 1, [])


# --- L7: captures -----------------------------------------------------------------------------------

CHANGES_OF_THE_CAPTURE = (
    "count = 4",
    "feature = 'mail.send'",
    "product = 'mail'",
    "hold_id = 'hold_of_nothing'",
    "hold_id = (SELECT id FROM wallet_hold WHERE idempotency_key = 'open')",
    "hold_id = (SELECT id FROM wallet_hold WHERE idempotency_key = 'voided')",
    "hold_id = (SELECT id FROM wallet_hold WHERE idempotency_key = 'covered')",  # Of another wallet.
)
CHANGES_OF_ITS_HOLD = (
    "count = 6",
    "credits = 10",
    "credits = 2, count = 2, captured_count = 2",
    "captured_count = 4",
    "product = 'mail'",
    "feature = 'mail.send'",
    "state = 'voided', captured_count = NULL",
    "state = 'expired', captured_count = NULL, ended_at = expires_at",
    "wallet_id = 'usr_2'",
    "id = 'hold_other'",
)


def test_a_capture_that_does_not_fit_its_hold(held_lawless):
    entry, hold = the("capture"), hold_of("captured")
    of_entry = [f"UPDATE wallet_entry SET {change} WHERE id = '{entry}'" for change in CHANGES_OF_THE_CAPTURE]
    of_hold = [f"UPDATE wallet_hold SET {change} WHERE id = '{hold}'" for change in CHANGES_OF_ITS_HOLD]
    for change in [*of_entry, *of_hold, f"DELETE FROM wallet_hold WHERE id = '{hold}'"]:
        with undone():
            sql(change)
            names = broken()
            assert (CAPTURE, entry) in names, change
            assert {law for law, _ in names} <= {CAPTURE, UNPAID}, change


def test_a_captured_hold_that_is_open_again(held_lawless):
    sql(
        "UPDATE wallet_hold SET state = 'open', captured_count = NULL, ended_at = NULL"
        " WHERE idempotency_key = 'captured'"
    )
    assert broken() == [(CAPTURE, the("capture")), (HELD, "usr_1")]


@pytest.mark.parametrize(
    ("column", "after", "is_fine"),
    [
        ("expires_at", "0 seconds", False),
        ("expires_at", "1 microsecond", True),
        ("created_at", "1 hour", True),
    ],
)
def test_a_capture_is_before_the_end_of_its_hold(held_lawless, column, after, is_fine):
    """It may have an earlier time than the hold: the clock may be set back."""
    entry = the("capture")
    moment = "(SELECT created_at FROM wallet_entry WHERE id = %s) + %s::interval"
    # The constraint compares the hold's own times, the law those of the hold and of the entry.
    change = f"{column} = {moment}, ended_at = created_at - interval '1 second'"
    sql(f"UPDATE wallet_hold SET {change} WHERE idempotency_key = 'captured'", entry, after)
    assert broken() == ([] if is_fine else [(CAPTURE, entry)])


def test_a_capture_after_the_clock_was_set_back_breaks_no_law(held_books):
    """No entry was written since the hold was made, so nothing keeps the time of the capture from falling."""
    clock = Clock()
    clock.set(Entry.objects.latest("created_at").created_at + timedelta(hours=2))
    facts: Any = {"feature": FEATURE, "count": 5, "ttl_seconds": 900, "key": "ahead"}
    hold = holds.authorize(service=BLOG, user_id="usr_1", **facts).hold
    clock.advance(hours=-1)
    captured = holds.capture(service=BLOG, user_id="usr_1", hold_id=hold.pk).hold
    assert captured.ended_at is not None
    assert captured.ended_at < captured.created_at
    assert found() == []


@pytest.mark.parametrize("taken", [2, 4, 6])
def test_a_capture_of_more_or_less_than_its_price(held_lawless, taken):
    entry = the("capture")
    sql("UPDATE wallet_entry SET credits = %s WHERE id = %s", -taken, entry)
    more = taken - 3
    since = "wallet_id = 'usr_1' AND sequence > 1"
    sql(f"UPDATE wallet_entry SET balance_after = balance_after - %s WHERE {since}", more)
    sql("UPDATE wallet_wallet SET balance = balance - %s WHERE user_id = 'usr_1'", more)
    detail = f"{taken} credits for 3 units, of 5 for 5, captured"
    assert found() == [(CAPTURE, entry, detail)]


def test_a_captured_hold_whose_entry_is_something_else(held_lawless):
    sql("UPDATE wallet_entry SET kind = 'deduct', hold_id = NULL WHERE id = %s", the("capture"))
    assert found() == [(UNPAID, hold_of("captured"), "3 units of blog.article.generate")]


def test_a_hold_that_says_that_it_was_captured(held_lawless):
    change = "state = 'captured', captured_count = 6, ended_at = created_at"
    sql(f"UPDATE wallet_hold SET {change} WHERE idempotency_key = 'voided'")
    assert found() == [(UNPAID, hold_of("voided"), "6 units of blog.article.generate")]


def test_a_second_capture_of_one_hold(held_lawless):
    """Each of the two fits the hold. The index that refuses the second one is missing, and that is named."""
    sql("DROP INDEX wallet_entry_one_per_hold")
    facts = {"kind": "capture", "feature": FEATURE, "product": "blog", "count": 3, "held": 12}
    move("usr_1", -3, hold_id=hold_of("captured"), **facts)
    assert found() == [(INDEXES, "wallet_entry_one_per_hold", "missing or not valid")]


# --- L8: no credits are spent twice -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_id", "kind", "credits", "left"),
    [("usr_1", "deduct", -41, -1), ("usr_1", "adjustment", -50, -10), ("usr_2", "deduct", -1, -7)],
)
def test_a_charge_that_leaves_less_than_nothing(held_lawless, user_id, kind, credits, left):
    sql("ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held")
    entry = move(user_id, credits, kind=kind, feature=FEATURE, count=1, held=0)
    assert found() == [
        (CONSTRAINTS, "wallet_entry_leaves_what_is_held", "missing or not validated"),
        (OVERDRAWN, entry, f"{kind} took {-credits} paid credits and left {left}"),
    ]


def test_a_charge_of_what_holds_have(held_lawless):
    """The balance alone does not show it. The constraint that refuses it is missing, and that is named."""
    sql("ALTER TABLE wallet_entry DROP CONSTRAINT wallet_entry_leaves_what_is_held")
    move("usr_1", -29, kind="deduct", feature=FEATURE, count=29, held=12)
    assert found() == [(CONSTRAINTS, "wallet_entry_leaves_what_is_held", "missing or not validated")]


# --- L16: the whole ---------------------------------------------------------------------------------

CHANGES_OF_THE_WHOLE = {
    "UPDATE wallet_wallet SET balance = 41 WHERE user_id = 'usr_1'": "entries add up to 34, balances to 35",
    "DELETE FROM wallet_entry WHERE wallet_id = 'usr_2'": "entries add up to 40, balances to 34",
    "DELETE FROM wallet_wallet WHERE user_id = 'usr_2'": "entries add up to 34, balances to 40",
    "DELETE FROM wallet_entry": "entries add up to 0, balances to 34",
    "DELETE FROM wallet_wallet": "entries add up to 34, balances to 0",
}


def test_wallets_that_have_other_than_what_came_in_less_what_went_out(held_lawless):
    for change, detail in CHANGES_OF_THE_WHOLE.items():
        with undone():
            sql(change)
            assert laws.Violation(WHOLE, "all wallets", detail) in laws.violations(), change


def test_too_much_in_one_wallet_and_too_little_in_another(held_lawless):
    """The whole adds up, and the law about each wallet names both."""
    sql("UPDATE wallet_wallet SET balance = balance + CASE user_id WHEN 'usr_1' THEN 1 ELSE -1 END")
    assert broken() == [(SUM, "usr_1"), (SUM, "usr_2")]


# --- check_ledger names each ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_check_ledger_names_each_broken_law(held_books):
    capture, debt, captured = the("capture"), the("capture", "usr_2"), hold_of("captured")
    # An expiry passes the constraint, but no grant is there whose end it could be.
    with transaction.atomic():
        rest()
        sql("UPDATE wallet_wallet SET held = 13 WHERE user_id = 'usr_1'")
        sql("UPDATE wallet_entry SET kind = 'deduct', hold_id = NULL WHERE id = %s", capture)
        sql("UPDATE wallet_entry SET kind = 'expiry', hold_id = NULL WHERE id = %s", debt)
        sql("UPDATE wallet_wallet SET balance = 41 WHERE user_id = 'usr_1'")
        charge = move("usr_1", -1, kind="capture", hold_id="hold_x", feature=FEATURE, count=1)
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("check_ledger", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert (end.value.code, report["clean"]) == (1, False)
    named = {(violation["law"], violation["subject"]) for violation in report["violations"]}
    expected = [
        (HELD, "usr_1"), (CAPTURE, charge), (UNPAID, captured), (OVERDRAWN, debt), (WHOLE, "all wallets"),
    ]  # fmt: skip
    assert not set(expected) - named
