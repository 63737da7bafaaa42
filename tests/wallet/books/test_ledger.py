"""The only writer of balances and entries: what each verb moves, and what it refuses to move."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from foundation.errors import KeyReused
from tests.crowd import begin, wait_until_another_waits
from tests.wallet import by_hand
from tests.wallet.reversed import take_back
from wallet.books import ledger
from wallet.books.funds import available_of
from wallet.charges import debits
from wallet.errors import InsufficientCredits, NotFound, NothingToGiveBack
from wallet.models import Entry, Wallet

Kind = Entry.Kind


def debit(credits, user_id="usr_1", **facts):
    """A charge of the blog's."""
    asked: dict[str, Any] = {"feature": "blog.article.generate", "count": 1, "product": "blog"} | facts
    return debits.debit(user_id=user_id, credits=credits, kind=Kind.DEDUCT, actor="service:wsk_test", **asked)


def give_back(entry, credits=None, key="refund-1"):
    return by_hand.give_back(entry=entry, credits=credits, reason="It failed.", key=key, actor="user:staff:1")


def adjust(credits, key="form-1", user_id="usr_1", reason="Goodwill"):
    return by_hand.adjust(user_id=user_id, credits=credits, reason=reason, key=key, actor="user:staff:1")


def books_of(user_id="usr_1"):
    """Everything the ledger knows of a user."""
    return (
        list(Wallet.objects.filter(pk=user_id).values()),
        list(Entry.objects.of_user(user_id).values()),
    )


# --- Credit and debit -------------------------------------------------------------------------------


def test_first_credits_make_the_wallet(give):
    entry = give("usr_1", 25, session_id="cs_test_first")
    wallet = Wallet.objects.get(pk="usr_1")
    assert (wallet.balance, wallet.entries_count) == (25, 1)
    assert (entry.sequence, entry.credits, entry.balance_before, entry.balance_after) == (1, 25, 0, 25)
    assert (entry.kind, entry.stripe_session_id, entry.actor) == ("topup", "cs_test_first", "stripe")
    assert entry.pk.startswith("txn_")


def test_reading_the_balance_of_an_unknown_user_makes_no_wallet(db):
    assert available_of("usr_unknown") == 0
    assert not Wallet.objects.exists()


def test_a_debit_remembers_what_was_bought(give):
    give("usr_1", 25)
    entry = debit(3, count=3, idempotency_key="article:1")
    entry.refresh_from_db()
    assert (entry.credits, entry.charged, entry.balance_before, entry.balance_after) == (-3, 3, 25, 22)
    assert (entry.feature, entry.count, entry.product) == ("blog.article.generate", 3, "blog")
    assert (entry.idempotency_key, entry.actor, entry.kind) == ("article:1", "service:wsk_test", "deduct")
    assert entry.effective_at == entry.created_at
    assert available_of("usr_1") == 22


def test_entries_are_numbered_without_a_gap_and_chain(give):
    give("usr_1", 10)
    debit(1)
    with pytest.raises(InsufficientCredits):
        debit(100)
    adjust(5)
    back = give_back(debit(4))
    entries = list(Entry.objects.of_user("usr_1").order_by("sequence"))
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.credits for entry in entries] == [10, -1, 5, -4, 4]
    assert [entry.balance_after for entry in entries] == [10, 9, 14, 10, 14]
    assert entries[-1] == back
    assert Wallet.objects.get(pk="usr_1").entries_count == 5


def test_wallets_count_by_themselves(give):
    give("usr_1", 10)
    other = give("usr_2", 7)
    assert (other.sequence, other.balance_after) == (1, 7)


def test_the_last_credit_can_be_spent_and_one_more_cannot(give):
    give("usr_1", 2)
    assert debit(2).balance_after == 0
    with pytest.raises(InsufficientCredits):
        debit(1)


@pytest.mark.parametrize(("held", "asked"), [(5, 6), (0, 1), (5, 1_000_000_000_000)])
def test_a_debit_beyond_the_balance_says_so_and_moves_nothing(give, held, asked):
    if held:
        give("usr_1", held)
    before = books_of()
    with pytest.raises(InsufficientCredits) as refusal:
        debit(asked)
    assert (refusal.value.available, refusal.value.required) == (held, asked)
    assert str(refusal.value) == f"The wallet has {held} credits available; {asked} are required"
    assert books_of() == before


def test_a_user_who_owes_after_a_clawback_is_refused_with_the_true_balance(give):
    topup = give("usr_1", 5)
    debit(5)
    take_back(topup)
    with pytest.raises(InsufficientCredits) as refusal:
        debit(1)
    assert (refusal.value.available, refusal.value.required) == (-5, 1)
    assert give("usr_1", 10).balance_after == 5  # What comes in pays the debt first.
    assert debit(5).balance_after == 0


@pytest.mark.parametrize("credits", [0, -1])
@pytest.mark.parametrize("verb", [debits.debit, ledger.credit])
def test_a_number_that_is_not_positive_is_a_bug_of_the_caller(give, verb, credits):
    give("usr_1", 5)
    with pytest.raises(AssertionError):
        verb(user_id="usr_1", credits=credits, kind=Kind.DEDUCT, actor="service:wsk_test")
    assert available_of("usr_1") == 5


def test_a_second_charge_with_a_used_key_moves_nothing(give):
    give("usr_1", 5)
    debit(1, idempotency_key="article:1")
    before = books_of()
    with pytest.raises(IntegrityError, match="wallet_entry_key_once"):
        debit(1, idempotency_key="article:1")
    assert books_of() == before
    # The same key of another product, or of another user, is another key.
    debit(1, idempotency_key="article:1", product="mail")
    give("usr_2", 5)
    debit(1, idempotency_key="article:1", user_id="usr_2")


def test_a_second_top_up_of_one_checkout_moves_nothing(give):
    give("usr_1", 5, session_id="cs_test_once")
    before = books_of()
    with pytest.raises(IntegrityError, match="wallet_entry_checkout_once"):
        give("usr_1", 5, session_id="cs_test_once")
    assert books_of() == before


@pytest.mark.parametrize("user_id", ["用户-1", "a" * 255, "it's; DROP TABLE", "a b", "100%", "🙂"])
def test_a_misar_id_is_opaque(give, user_id):
    give(user_id, 5, session_id="cs_test_opaque")
    assert debit(2, user_id=user_id).balance_after == 3


# --- The top-up that comes in between ---------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_debit_is_tried_again_when_credits_came_in_after_it_failed(give):
    """The debit finds too little, then waits for the row that a top-up holds, then finds enough."""
    give("usr_1", 1)
    with transaction.atomic():
        give("usr_1", 9)
        debiting = begin(lambda: debit(6))
        wait_until_another_waits()
    entry = debiting.result(timeout=120)
    assert (entry.balance_before, entry.balance_after, entry.sequence) == (10, 4, 3)


@pytest.mark.django_db(transaction=True)
def test_a_refusal_tells_the_balance_after_what_came_in_between(give):
    give("usr_1", 1)
    with transaction.atomic():
        give("usr_1", 2)
        debiting = begin(lambda: debit(6))
        wait_until_another_waits()
    with pytest.raises(InsufficientCredits) as refusal:
        debiting.result(timeout=120)
    assert (refusal.value.available, refusal.value.required) == (3, 6)
    assert available_of("usr_1") == 3


@pytest.mark.django_db(transaction=True)
def test_a_debit_that_waits_for_another_debit_looks_again_at_what_is_left(give):
    give("usr_1", 6)
    with transaction.atomic():
        debit(5)
        debiting = begin(lambda: debit(5))
        wait_until_another_waits()
    with pytest.raises(InsufficientCredits) as refusal:
        debiting.result(timeout=120)
    assert (refusal.value.available, refusal.value.required) == (1, 5)


# --- Adjustments ------------------------------------------------------------------------------------


def test_an_adjustment_adds_or_takes_and_keeps_who_and_why(give):
    give("usr_1", 10)
    added = adjust(5, key="form-1")
    taken = adjust(-15, key="form-2")
    assert (added.credits, added.balance_after) == (5, 15)
    assert (taken.credits, taken.balance_after) == (-15, 0)
    assert {(entry.kind, entry.reason, entry.actor) for entry in (added, taken)} == {
        ("adjustment", "Goodwill", "user:staff:1")
    }


def test_an_adjustment_can_be_a_users_first_credits(db):
    assert adjust(5).balance_after == 5


def test_the_same_form_twice_moves_once_and_answers_the_first_entry(give):
    give("usr_1", 10)
    first = adjust(-4)
    before = books_of()
    assert adjust(-4) == first
    assert books_of() == before
    assert available_of("usr_1") == 6


@pytest.mark.parametrize("other", [{"credits": 7}, {"credits": 4}, {"credits": -4, "reason": "Another"}])
def test_a_form_that_was_used_says_nothing_else(give, other):
    give("usr_1", 10)
    adjust(-4)
    before = books_of()
    with pytest.raises(KeyReused):
        adjust(**other)
    assert books_of() == before


@pytest.mark.breaks_the_books  # An act is about one user.
def test_one_form_for_two_users_are_two_decisions(db):
    assert adjust(5, user_id="usr_1") != adjust(5, user_id="usr_2")
    assert available_of("usr_1") == available_of("usr_2") == 5


@pytest.mark.parametrize("held", [0, 3])
def test_an_adjustment_takes_no_more_than_is_there_and_leaves_no_trace_when_refused(give, held):
    if held:
        give("usr_1", held)
    before = books_of()
    with pytest.raises(InsufficientCredits) as refusal:
        adjust(-4)
    assert (refusal.value.available, refusal.value.required) == (held, 4)
    assert books_of() == before  # Not even an empty wallet.
    give("usr_1", 10)
    assert adjust(-4).balance_after == held + 6  # A refusal leaves the key free.


def test_an_adjustment_without_a_key_is_a_bug_of_the_caller(db):
    with pytest.raises(AssertionError):
        adjust(5, key="")


# --- Giving back ------------------------------------------------------------------------------------


def test_a_charge_is_given_back_in_whole(give):
    give("usr_1", 10)
    charge = debit(4)
    back = give_back(charge)
    assert (back.kind, back.credits, back.balance_after, back.reverses) == ("refund", 4, 10, charge)
    assert (back.feature, back.product, back.reason) == (charge.feature, "blog", "It failed.")
    assert back.count is None
    assert Entry.objects.given_back(charge) == 4


def test_a_charge_is_given_back_in_parts_until_nothing_is_left(give):
    give("usr_1", 10)
    charge = debit(4)
    assert give_back(charge, 1, key="refund-1").balance_after == 7
    assert give_back(charge, 2, key="refund-2").balance_after == 9
    before = books_of()
    with pytest.raises(NothingToGiveBack, match="1 credit of this charge is left"):
        give_back(charge, 2, key="refund-3")
    assert books_of() == before
    assert give_back(charge, key="refund-3").credits == 1  # Without a number: what is left.
    with pytest.raises(NothingToGiveBack, match="was given back in full"):
        give_back(charge, key="refund-4")
    assert available_of("usr_1") == 10


@pytest.mark.parametrize("credits", [5, 0, -1, 10**15])
def test_no_more_than_the_charge_and_no_less_than_one_credit_is_given_back(give, credits):
    give("usr_1", 10)
    charge = debit(4)
    before = books_of()
    with pytest.raises(NothingToGiveBack):
        give_back(charge, credits)
    assert books_of() == before


def test_the_same_key_again_gives_back_once(give):
    give("usr_1", 10)
    charge = debit(4)
    first = give_back(charge, 1)
    assert give_back(charge, 1) == first
    # Without a number, all that is left is requested: another request.
    for credits in (2, None):
        with pytest.raises(KeyReused):
            give_back(charge, credits)
    assert available_of("usr_1") == 7


def test_a_key_that_gave_back_one_charge_does_not_answer_for_another(give):
    give("usr_1", 10)
    first, second = debit(4), debit(2)
    give_back(first, key="ticket-1")
    with pytest.raises(KeyReused):
        give_back(second, key="ticket-1")
    assert available_of("usr_1") == 8


def test_giving_back_without_a_key_is_a_bug_of_the_caller(give):
    give("usr_1", 10)
    charge = debit(4)
    with pytest.raises(AssertionError):
        give_back(charge, key="")


def test_only_a_charge_can_be_given_back(give):
    topup = give("usr_1", 10)
    back = give_back(debit(4))
    for entry in (topup, back, adjust(-1)):
        before = books_of()
        with pytest.raises(NotFound):
            give_back(entry, key="refund-2")
        assert books_of() == before
