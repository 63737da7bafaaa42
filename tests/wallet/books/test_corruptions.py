"""Corruptions that the laws alone name: a row was made up, or removed, and the books add up again without it.

They are made as only an operator with a superuser's rights could: triggers rest. It is rolled back. What adds
up and contradicts no other row is in no law: the seals name it, or Stripe's own records. For guards that are
off or changed see tests/misar_billing/test_guards.py, and for tips tests/monetization/test_laws.py.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Act
from foundation.calendar import end_of, start_of
from tests.wallet import by_hand
from tests.wallet.books.conftest import BLOG
from tests.wallet.entries import insert_entry, move, sql
from tests.wallet.granted import grant, set_budget
from tests.wallet.lawless import found
from tests.wallet.resting import rest
from tests.wallet.reversed import take_back
from wallet.books import days
from wallet.books.laws import acts, grants, holds, payments
from wallet.books.laws.days import LAWS_OF_DAYS
from wallet.charges import deductions
from wallet.charges import holds as verbs_of_holds
from wallet.models import Entry, Lot, Payment, TopUp

SIGNED, RUN = acts.LAWS_OF_WALLETS
WRITTEN, _ = acts.LAWS_OF_THE_WHOLE
TOPUP, CREDITED, LEFT = payments.LAWS_OF_WALLETS
PAID, DECIDED, _, UNDECIDED = payments.LAWS_OF_THE_WHOLE
[MONTHS] = grants.LAWS_OF_THE_WHOLE
DAYS = next(iter(LAWS_OF_DAYS))
CAPTURED = list(holds.LAWS_OF_WALLETS)[-1]
BUDGET = "A budget has counted what was spent in its period"
LOT = "A lot has left what its moves come to"

pytestmark = pytest.mark.breaks_the_books


def named():
    """The laws that name something, each once."""
    return sorted({law for law, _, _ in found()})


# --- Rows that were made up -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "laws"),
    [
        ({"actor": "user:staff:1", "idempotency_key": "made-up"}, [SIGNED]),
        ({"actor": "stripe"}, [RUN]),
        ({"actor": "command:reconcile_stripe:1"}, [RUN]),
        ({"actor": "stripe", "stripe_session_id": "cs_made_up"}, [CREDITED, RUN]),
        # The key of what the staff member did for the user: it was a refund, and has one form.
        ({"actor": "user:staff:1", "idempotency_key": "refund-1", "wallet_id": "usr_2"}, [SIGNED]),
    ],
)
def test_an_adjustment(lawless, facts, laws):
    move(facts.pop("wallet_id", "usr_1"), 1000, **facts)
    assert named() == sorted(laws)


@pytest.mark.parametrize(
    ("product", "actor", "laws"), [("", "user:staff:1", [SIGNED]), ("blog", "service:wsk_test", [MONTHS])]
)
def test_a_grant(lawless, product, actor, laws):
    now = timezone.now()
    entry = move("usr_1", 1000, kind="grant", actor=actor, product=product, idempotency_key="made-up")
    lot = Lot.objects.create(
        wallet_id="usr_1",
        entry_id=entry,
        product=product,
        reason="Welcome",
        credits=1000,
        remaining=1000,
        created_at=now,
        expires_at=now + timedelta(days=30),
    )
    sql(
        "INSERT INTO wallet_lotmove (wallet_id, lot_id, sequence, credits, remaining_after)"
        " SELECT wallet_id, %s, sequence, credits, credits FROM wallet_entry WHERE id = %s",
        lot.pk,
        entry,
    )
    sql("UPDATE wallet_wallet SET granted = 1000 WHERE user_id = 'usr_1'")
    assert named() == laws


def test_a_refund_by_staff(lawless):
    charge = Entry.objects.get(kind="deduct")
    facts = {"kind": "refund", "feature": charge.feature, "product": "blog", "reverses_id": charge.pk}
    move("usr_1", 1, actor="user:staff:1", idempotency_key="made-up", **facts)
    assert named() == [SIGNED]


@pytest.mark.parametrize("session_id", ["cs_test_1", "cs_made_up", ""])
@pytest.mark.parametrize(("kind", "credits"), [("clawback", -5), ("reinstatement", 5)])
def test_a_clawback_and_a_reinstatement(lawless, kind, credits, session_id):
    move("usr_1", credits, kind=kind, actor="stripe", stripe_session_id=session_id)
    assert named() == [LEFT]


def test_a_top_up(lawless):
    """Each row that is made up contradicts one that is missing, until only Stripe does not know of it."""
    session, intent = "cs_made_up", "pi_made_up"
    entry = move("usr_1", 1000, kind="topup", actor="stripe", product="blog", stripe_session_id=session)
    assert named() == sorted([TOPUP, CREDITED, LEFT])
    TopUp.objects.create(
        user_id="usr_1",
        product="blog",
        state="paid",
        amount_cents=100_000,
        paid_cents=100_000,
        stripe_session_id=session,
        payment_intent_id=intent,
        entry_id=entry,
        paid_at=timezone.now(),
    )
    assert named() == sorted([CREDITED, UNDECIDED])
    facts = {"session_id": session, "state": "credited", "user_id": "usr_1", "entry_id": entry}
    Payment.objects.create(stripe_id=session, **facts)
    assert named() == [UNDECIDED]
    Payment.objects.create(stripe_id=intent, **facts)
    assert named() == []  # reconcile_stripe names it, and so do the seals once it is older than one.


def test_a_wallet_with_an_adjustment(lawless):
    sql("INSERT INTO wallet_wallet VALUES ('usr_3', 1000, 1, now())")
    insert_entry("usr_3", credits=1000, balance_after=1000, sequence=1, actor="stripe")
    assert named() == [RUN]


# --- The last entry, removed, and the wallet set back -------------------------------------------------


def remove_the_last_entry(user_id="usr_1"):
    """Remove it with its moves of lots and what its refund said; its kind."""
    connection.check_constraints()
    rest()
    entry = Entry.objects.filter(wallet_id=user_id).latest("sequence")
    sql("DELETE FROM wallet_giveback WHERE entry_id = %s", entry.pk)
    sql("DELETE FROM wallet_lotmove WHERE wallet_id = %s AND sequence = %s", user_id, entry.sequence)
    sql("DELETE FROM wallet_entry WHERE id = %s", entry.pk)
    sql(
        "UPDATE wallet_wallet SET balance = balance - %s, entries_count = entries_count - 1"
        " WHERE user_id = %s",
        entry.credits,
        user_id,
    )
    return entry.kind


def test_a_top_up_that_was_removed(books):
    assert remove_the_last_entry("usr_2") == "topup"
    assert named() == sorted([PAID, DECIDED])


def test_an_adjustment_that_was_removed(books):
    by_hand.adjust(user_id="usr_1", credits=-5, reason="A mistake", key="form-1")
    rest()
    Act.objects.filter(form_key="form-1").update(verb="adjust")  # As the back-office calls it.
    assert remove_the_last_entry() == "adjustment"
    assert named() == [WRITTEN]


def test_a_refund_by_staff_that_was_removed(books):
    rest()
    Act.objects.filter(form_key="refund-1").update(verb="give-back")
    assert remove_the_last_entry() == "refund"
    assert named() == [WRITTEN]


def test_a_grant_that_was_removed(books):
    grant("usr_1", 10)
    assert remove_the_last_entry() == "grant"
    sql("UPDATE wallet_wallet SET granted = 0 WHERE user_id = 'usr_1'")
    sql("UPDATE wallet_lot SET remaining = 0, expired = credits")  # As if it had ended.
    assert named() == sorted([LOT, MONTHS])
    sql("DELETE FROM wallet_lot")
    assert named() == [MONTHS]


def test_a_clawback_that_was_removed(books):
    take_back(Entry.objects.get(kind="topup", wallet_id="usr_2"))
    assert remove_the_last_entry("usr_2") == "clawback"
    assert named() == [LEFT]


def test_a_capture_that_was_removed(books, article_rate):
    facts: dict[str, Any] = {"service": BLOG, "user_id": "usr_1"}
    held = verbs_of_holds.authorize(**facts, feature=article_rate, count=2, ttl_seconds=900, key="k").hold
    verbs_of_holds.capture(**facts, hold_id=held.pk)
    assert remove_the_last_entry() == "capture"
    assert named() == [CAPTURED]


def test_a_charge_that_was_removed(books, article_rate):
    """If no budget counts it and its day is not closed, only a seal knows of it."""
    deductions.deduct(service=BLOG, user_id="usr_1", feature=article_rate)
    assert remove_the_last_entry() == "deduct"
    assert named() == []


def test_a_charge_that_a_budget_has_counted(books, article_rate):
    set_budget(100)
    deductions.deduct(service=BLOG, user_id="usr_1", feature=article_rate)
    assert remove_the_last_entry() == "deduct"
    assert named() == [BUDGET]


def test_a_charge_of_a_closed_day(books, article_rate):
    today = timezone.now().date()
    with connection.cursor() as cursor:
        cursor.execute(days.CLOSE, {"day": today, "since": start_of(today), "until": end_of(today)})
    deductions.deduct(service=BLOG, user_id="usr_1", feature=article_rate)
    assert named() == [DAYS]
    assert remove_the_last_entry() == "deduct"
    assert named() == []
    assert remove_the_last_entry() == "refund"
    assert named() == [DAYS]


# --- A whole wallet, removed --------------------------------------------------------------------------


def test_a_wallet_of_today_that_was_removed(lawless):
    """Its payment is still there. Of a wallet without one, only a seal knows, and the file of the seals."""
    for table, column in (("giveback", "wallet_id"), ("entry", "wallet_id"), ("wallet", "user_id")):
        sql(f"DELETE FROM wallet_{table} WHERE {column} = 'usr_2'")
    assert named() == sorted([PAID, DECIDED])
