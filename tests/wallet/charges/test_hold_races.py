"""Races of holds, refunds and charges: real threads, each with its own connection; then the books.

The laws are checked after each test (tests/conftest.py).
"""

import random
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from foundation.errors import BillingError, KeyReused
from tests.crowd import at_once, outcomes_at_once, patiently
from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.granted import grant, set_budget, spent
from tests.wallet.holding import many_holds, past_hold
from tests.wallet.racing import (
    BLOG,
    MAIL,
    at_the_end,
    capture,
    charge,
    errors,
    extend,
    hold,
    kinds,
    refund,
    void,
    waiting_callers,
)
from tests.wallet.reversed import take_back
from wallet.books import ledger
from wallet.books.funds import funds_of
from wallet.charges import lapsing
from wallet.errors import (
    ChargeGivenBack,
    HoldCaptured,
    HoldVoided,
)
from wallet.models import Entry, Hold, LotMove, Wallet

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4


# --- The last credits -------------------------------------------------------------------------------


@pytest.mark.parametrize("round", range(ROUNDS))
def test_charges_and_holds_never_take_more_than_there_is(give, article_rate, round):
    give("usr_1", 20)
    outcomes = outcomes_at_once(
        [
            partial(charge, 3, f"article:{n}") if n % 2 else partial(hold, f"chat:{n}", 3)
            for n in range(round, 12 + round)
        ]
    )
    assert kinds(outcomes) == {"done": 6, "InsufficientCredits": 6}
    assert {(error.available, error.required) for error in errors(outcomes)} == {(2, 3)}
    funds = funds_of("usr_1")
    assert (funds.available, 20 - funds.balance + funds.held) == (2, 18)
    assert (20 - funds.balance, funds.held) == (
        3 * Entry.objects.filter(kind="deduct").count(),
        3 * Hold.objects.filter(state="open").count(),
    )


def test_credits_that_a_void_releases_are_taken_once(give, article_rate):
    """The hold has all credits. Charges and holds come in while it is voided."""
    give("usr_1", 5)
    first = hold("chat:0", 5).hold
    takers = [partial(charge, 5, f"a:{n}") if n % 2 else partial(hold, f"c:{n}", 5) for n in range(10)]
    outcomes = outcomes_at_once([partial(void, first.pk), partial(void, first.pk), *takers])
    assert kinds(outcomes)["done"] in (2, 3)  # The two voids, and one taker that came after them.
    assert funds_of("usr_1").available == (5 if kinds(outcomes)["done"] == 2 else 0)


# --- One end of a hold ------------------------------------------------------------------------------


@pytest.mark.parametrize("round", range(ROUNDS))
def test_a_hold_ends_once(give, article_rate, round):
    give("usr_1", 12)
    hold_id = hold("chat:1", 12).hold.pk
    calls = [
        *(partial(capture, hold_id, count) for count in (3, 3, 3, 5, 5, None)),
        *(partial(void, hold_id, product=product) for product in ("blog", "blog", None)),  # None: staff.
        *(partial(extend, hold_id, 1000 * n) for n in (1, 2, 3)),
    ]
    random.Random(round).shuffle(calls)  # noqa: S311 (an order, no secret)
    outcomes = outcomes_at_once(calls)
    ended = Hold.objects.get()
    done = [outcome.result() for outcome in outcomes if not outcome.exception()]
    refused = {type(error) for error in errors(outcomes)}
    assert {each.state for each in done} <= {"open", ended.state}
    if ended.state == "voided":
        assert (Entry.objects.count(), refused) == (1, {HoldVoided})
    else:
        entry = Entry.objects.get(kind="capture")
        assert (ended.state, entry.count, entry.charged) == ("captured", ended.captured_count, entry.count)
        assert {each.captured_count for each in done if each.state == "captured"} == {entry.count}
        assert refused == {HoldCaptured}
    funds = funds_of("usr_1")
    assert (funds.balance, funds.held) == (12 - (ended.captured_count or 0), 0)


@pytest.mark.parametrize("round", range(ROUNDS))
def test_a_hold_is_captured_before_its_end_or_its_credits_are_free(give, article_rate, round):
    """Captures, extensions, the tidier and charges of the same credits come at the very end of a hold."""
    give("usr_1", 10)
    hold_id = past_hold(credits=10, expires_at=timezone.now() + timedelta(milliseconds=80)).pk

    at_its_end = partial(at_the_end, "wallet_hold", hold_id)
    calls = [
        *(partial(at_its_end, n - 4 - round, partial(capture, hold_id, 10)) for n in range(4)),
        *(partial(at_its_end, n - 1, partial(charge, 10, f"a:{n}")) for n in range(4)),
        *(partial(at_its_end, n, partial(hold, f"c:{n}", 10)) for n in range(2)),
        *(partial(at_its_end, n, partial(lapsing.lapse_wallet, "usr_1")) for n in range(2)),
    ]
    outcomes = outcomes_at_once(calls)
    captures, takers = outcomes[:4], outcomes[4:10]
    lapsing.lapse_wallet("usr_1")
    ended = Hold.objects.get(pk=hold_id)
    takers_done = kinds(takers)["done"]
    if ended.state == "captured":
        assert ended.ended_at is not None
        assert ended.ended_at < ended.expires_at
        assert Entry.objects.get(kind="capture").created_at < ended.expires_at
        assert (kinds(captures)["HoldExpired"] + kinds(captures)["done"], takers_done) == (4, 0)
    else:
        assert (ended.state, ended.ended_at) == ("expired", ended.expires_at)
        assert kinds(captures) == {"HoldExpired": 4}
        assert takers_done <= 1
        for entry in Entry.objects.filter(kind="deduct"):
            assert entry.created_at >= ended.expires_at
    funds = funds_of("usr_1")
    assert funds.available == (0 if ended.state == "captured" or takers_done else 10)


# --- Refunds ----------------------------------------------------------------------------------------


def test_credits_given_back_are_spent_once(give, article_rate):
    """The charge took everything. Refunds of it, charges, and its own key again come in at once."""
    give("usr_1", 4)
    first = charge(4, "article:1")
    calls = [
        *(partial(refund, f"undo:{n}", {"pk": first.pk}) for n in range(4)),
        *(partial(charge, 4, f"other:{n}") if n % 2 else partial(hold, f"c:{n}", 4) for n in range(4)),
        *[partial(charge, 4, "article:1")] * 4,
    ]
    outcomes = outcomes_at_once(calls)
    assert kinds(outcomes[:4]) == {"done": 1, "NothingToGiveBack": 3}
    assert {error.facts["refundable"] for error in errors(outcomes[:4])} == {0}
    taken = kinds(outcomes[4:8])["done"]
    assert taken <= 1
    for outcome in outcomes[8:]:  # Before the refund a replay, after it an error: never a second charge.
        assert isinstance(outcome.exception(), ChargeGivenBack) or outcome.result() == first
    assert funds_of("usr_1").available == 4 - 4 * taken


def test_refunds_of_parts_never_come_to_more_than_the_charge(give, article_rate):
    give("usr_1", 10)
    captured = capture(hold("chat:1", 10).hold.pk)
    outcomes = outcomes_at_once(
        [partial(refund, f"undo:{n}", {"hold_id": captured.pk}, 3) for n in range(12)]
    )
    assert kinds(outcomes) == {"done": 3, "NothingToGiveBack": 9}
    answers = [outcome.result().answer for outcome in outcomes if not outcome.exception()]
    assert sorted((answer.refundable, answer.available) for answer in answers) == [(1, 9), (4, 6), (7, 3)]
    assert {error.facts["refundable"] for error in errors(outcomes)} == {1}


def test_staff_and_a_product_give_one_charge_back_once(give, article_rate):
    give("usr_1", 4)
    first = charge(4)
    by_staff: dict[str, Any] = {"entry": first, "reason": "It failed.", "actor": "user:staff:1"}
    outcomes = outcomes_at_once(
        [
            partial(patiently, partial(by_hand.give_back, **by_staff, key=f"form:{n}"))
            if n % 2
            else partial(refund, f"undo:{n}", {"pk": first.pk})
            for n in range(12)
        ]
    )
    assert kinds(outcomes) == {"done": 1, "NothingToGiveBack": 11}
    assert funds_of("usr_1").available == 4


# --- One key ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("credits", [3, 50])
def test_one_key_of_a_hold_from_12_callers_is_one_hold(give, article_rate, credits):
    """Also if it takes all credits: the losers find nothing left before they meet the key."""
    give("usr_1", credits)
    outcomes = at_once([partial(hold, "chat:1", 3)] * 12)
    assert len({outcome.hold.pk for outcome in outcomes}) == 1
    assert {(outcome.hold.available_before, outcome.hold.available_after) for outcome in outcomes} == {
        (credits, credits - 3)
    }
    assert Counter(outcome.replayed for outcome in outcomes) == {True: 11, False: 1}
    assert funds_of("usr_1").held == 3


def test_one_key_of_a_hold_for_different_work_has_one_winner(give, article_rate):
    give("usr_1", 50)
    outcomes = outcomes_at_once([partial(hold, "chat:1", count) for count in range(1, 13)])
    assert kinds(outcomes) == {"done": 1, "KeyReused": 11}
    assert funds_of("usr_1").held == Hold.objects.get().credits


def test_one_key_of_a_refund_from_12_callers_is_one_refund(give, article_rate):
    give("usr_1", 10)
    first = charge(10)
    answers = at_once([partial(refund, "undo:1", {"pk": first.pk}, 4)] * 12)
    assert len({answer.entry.pk for answer in answers}) == 1
    assert {(answer.answer.refundable, answer.answer.available) for answer in answers} == {(6, 4)}
    assert Counter(answer.replayed for answer in answers) == {True: 11, False: 1}


def test_one_key_of_a_refund_for_different_credits_has_one_winner(give, article_rate):
    give("usr_1", 12)
    first = charge(12)
    outcomes = outcomes_at_once(
        [partial(refund, "undo:1", {"pk": first.pk}, credits) for credits in [*range(1, 12), None]]
    )
    assert {type(error) for error in errors(outcomes)} == {KeyReused}
    assert kinds(outcomes)["done"] == 1
    assert funds_of("usr_1").available == Entry.objects.get(kind="refund").credits


# --- What a charge looks at changes while it waits --------------------------------------------------


def test_a_wallet_that_is_frozen_under_waiting_charges(give, article_rate):
    give("usr_1", 50)
    outcomes = waiting_callers(lambda: ledger.set_frozen("usr_1", frozen=True))
    assert kinds(outcomes) == {"WalletFrozen": 10}
    assert {error.available for error in errors(outcomes)} == {0}


@pytest.mark.single_server("it looks at the statement that waits, and Citus may name the one before")
def test_a_wallet_that_is_let_go_on_under_waiting_charges(give, article_rate):
    """Their update does not match the frozen wallet. So they wait at the lock of the full branch."""
    give("usr_1", 50)
    ledger.set_frozen("usr_1", frozen=True)
    outcomes = waiting_callers(lambda: ledger.set_frozen("usr_1", frozen=False), wait_with="SELECT")
    assert kinds(outcomes) == {"done": 10}


@pytest.mark.parametrize(("held", "done"), [(50, 0), (47, 3), (40, 10)])
def test_credits_that_are_held_under_waiting_charges(give, article_rate, held, done):
    give("usr_1", 50)
    outcomes = waiting_callers(lambda: hold("first", held))
    assert (kinds(outcomes)["done"], kinds(outcomes)["InsufficientCredits"]) == (done, 10 - done)
    assert funds_of("usr_1").available == 50 - held - done


def test_a_threshold_that_comes_under_waiting_charges(give, article_rate):
    """The plain branch is closed then. The full branch decides, and there is nothing that limits yet."""
    give("usr_1", 6)
    outcomes = waiting_callers(lambda: sql("UPDATE wallet_wallet SET watch = 6 WHERE user_id = 'usr_1'"))
    assert kinds(outcomes) == {"done": 6, "InsufficientCredits": 4}
    assert funds_of("usr_1").available == 0


def test_a_grant_that_comes_under_waiting_charges(give, article_rate):
    """It pays for the first four, charges and holds, then paid credits do."""
    give("usr_1", 2)
    outcomes = waiting_callers(lambda: grant(credits=4))
    assert kinds(outcomes) == {"done": 6, "InsufficientCredits": 4}
    funds = funds_of("usr_1")
    held_of_lot = sum(each.held for each in funds.grants)
    assert (funds.available, funds.granted) == (0, held_of_lot)
    assert LotMove.objects.filter(credits=-1).count() == 4 - held_of_lot


def test_a_budget_that_comes_under_waiting_charges(give, article_rate):
    give("usr_1", 6)
    outcomes = waiting_callers(lambda: set_budget(4))
    assert kinds(outcomes) == {"done": 4, "BudgetSpent": 6}
    assert {error.available for error in errors(outcomes)} == {0}
    assert (funds_of("usr_1").available, spent()) == (2, [4])


def test_credits_that_come_under_waiting_charges(give, article_rate):
    give("usr_1", 2)
    outcomes = waiting_callers(lambda: give("usr_1", 5))
    assert kinds(outcomes) == {"done": 7, "InsufficientCredits": 3}


def test_a_clawback_under_waiting_charges(give, article_rate):
    payment = give("usr_1", 20)
    outcomes = waiting_callers(lambda: take_back(payment, 16))
    assert kinds(outcomes) == {"done": 4, "InsufficientCredits": 6}


# --- Limits -----------------------------------------------------------------------------------------


def test_200_holds_of_one_product_are_open_at_most(give, article_rate):
    give("usr_1", 1000)
    many_holds(195)
    outcomes = outcomes_at_once([partial(hold, f"chat:{n}") for n in range(12)])
    assert kinds(outcomes) == {"done": 5, "TooManyHolds": 7}
    assert Wallet.objects.get().open_holds == 200
    assert hold("chat:1", service=MAIL).hold.state == "open"  # Another product has its own.


def test_1000_holds_of_one_wallet_are_open_at_most(give, article_rate):
    give("usr_1", 2000)
    for product in ("a", "b", "c", "d", "e"):
        many_holds(199, product=product)
    outcomes = outcomes_at_once([partial(hold, f"chat:{n}", service=(BLOG, MAIL)[n % 2]) for n in range(12)])
    assert kinds(outcomes) == {"done": 5, "TooManyHolds": 7}
    assert Wallet.objects.get().open_holds == 1000


def test_overdue_holds_leave_room_for_new_ones(give, article_rate):
    give("usr_1", 1000)
    many_holds(200, overdue=True)
    outcomes = outcomes_at_once([partial(hold, f"chat:{n}") for n in range(12)])
    assert kinds(outcomes) == {"done": 12}
    assert Wallet.objects.get().open_holds == 12
    assert Hold.objects.filter(state="expired").count() == 200


# --- Everything at once -----------------------------------------------------------------------------


@pytest.mark.parametrize("round", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_everything_at_once_on_one_wallet_adds_up(give, article_rate, round):
    give("usr_1", 30)
    payment = give("usr_1", 10)
    made: list[str] = []

    def of_a_made_hold(act):
        return lambda: act(random.choice(made)) if made else None  # noqa: S311 (no secret)

    def make_hold(n):
        # They have a second, so some end while the others go on.
        outcome = hold(f"chat:{n}", n % 4 + 1, ttl_seconds=1 if n % 3 else 900)
        made.append(outcome.hold.pk)

    def refund_something(n):
        first = Entry.objects.filter(kind__in=["deduct", "capture"]).order_by("?").first()
        return refund(f"undo:{n}", {"pk": first.pk}, 1) if first else None

    def adjust(n):
        facts = {"user_id": "usr_1", "reason": "Goodwill", "key": f"form-{n}", "actor": "user:staff:1"}
        return patiently(lambda: by_hand.adjust(credits=2 if n % 2 else -2, **facts))

    def one_after_the_other(n):
        acts = [
            lambda: make_hold(n),
            of_a_made_hold(partial(capture, count=1)),
            lambda: charge(2, f"article:{n}"),
            lambda: refund_something(n),
            of_a_made_hold(void),
            lambda: make_hold(100 + n),
            of_a_made_hold(lambda hold_id: extend(hold_id, 2)),
            lambda: adjust(n),
            lambda: lapsing.lapse_wallet("usr_1"),
            lambda: take_back(payment, 1) if n % 4 == 0 else None,
        ]
        random.Random(12 * round + n).shuffle(acts)  # noqa: S311 (an order, no secret)
        for act in acts:
            try:
                act()
            except BillingError:
                pass

    at_once([partial(one_after_the_other, n) for n in range(8)])
    balance = sum(Entry.objects.values_list("credits", flat=True))
    held = sum(Hold.objects.filter(state="open").values_list("credits", flat=True))
    wallet = Wallet.objects.get()
    assert (wallet.balance, wallet.held) == (balance, held)
    assert not Entry.objects.exclude(kind__in=["clawback", "capture"]).filter(
        credits__lt=0, balance_after__lt=0
    )
