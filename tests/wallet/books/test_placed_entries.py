"""An entry without a place comes with the update that takes its credits. A trigger places it, or drops it."""

from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from tests.wallet.books.test_several_entries import balances, change, charge
from tests.wallet.clock import Clock
from tests.wallet.held import hold
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.models import Entry, Wallet

DEDUCT: Any = {
    "kind": Entry.Kind.DEDUCT,
    "actor": "service:wsk_test",
    "feature": "blog.article.generate",
    "count": 1,
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet(give, article_rate):
    """A user with 10 credits from one checkout."""
    give("usr_1", 10)


def placed(credits, user_id="usr_1"):
    """Write the entry of a charge whose place and balance are left to the trigger."""
    charge(None, credits, None, user_id, held=None)


def test_it_gets_what_the_update_has_left(wallet):
    hold("usr_1", 4)
    with transaction.atomic():
        change(-5, 1)
        placed(5)
        connection.check_constraints()
    newest = Entry.objects.order_by("-sequence")[0]
    assert (newest.sequence, newest.balance_after, newest.held) == (2, 5, 4)
    assert available_of("usr_1") == 1


@pytest.mark.parametrize("user_id", ["usr_1", "usr_new", "usr_empty"])
def test_without_an_update_there_is_no_entry(wallet, user_id):
    Wallet.objects.create(user_id="usr_empty")
    before = Entry.objects.count()
    placed(5, user_id)
    assert Entry.objects.count() == before


def test_an_update_places_one_entry(wallet):
    change(-5, 1)
    placed(5)
    placed(5)
    connection.check_constraints()
    assert balances() == [(1, 10), (2, 5)]


@pytest.mark.breaks_the_books
def test_other_credits_than_the_update_took_are_refused(wallet):
    change(-5, 1)
    placed(3)
    with pytest.raises(IntegrityError, match="without an entry that says so"):
        connection.check_constraints()


def test_while_a_hold_is_overdue_it_is_refused_and_the_debit_ends_the_hold_first(give, article_rate):
    clock = Clock()
    give("usr_1", 10)
    hold("usr_1", 8, ttl_seconds=60)
    clock.advance(61)

    def charged():
        with transaction.atomic():
            change(-1, 1)
            placed(1)

    with pytest.raises(OperationalError, match="overdue"):
        charged()
    with pytest.raises(ledger.NotPlain), transaction.atomic():
        ledger.take_plainly("usr_1", credits=1, **DEDUCT)
    entry = debits.debit(user_id="usr_1", credits=9, **DEDUCT)
    assert (entry.available_before, entry.available_after, entry.held) == (10, 1, 0)


def test_a_debit_in_a_block_of_its_caller_leaves_the_block_usable(wallet):
    with transaction.atomic():
        Wallet.objects.filter(pk="usr_1").update(frozen=True)
        with pytest.raises(ledger.NotPlain), transaction.atomic():
            ledger.take_plainly("usr_1", credits=1, **DEDUCT)
        Wallet.objects.filter(pk="usr_1").update(frozen=False)
        assert debits.debit(user_id="usr_1", credits=1, **DEDUCT).balance_after == 9
