"""Races of budgets: real threads, each with its own connection. Each ends with exact counters.

The laws are checked after each test (tests/conftest.py): each budget has counted what was spent.
"""

import threading
from functools import partial
from typing import Any

import pytest

from foundation.errors import BillingError
from foundation.operators import snapshot
from tests.crowd import at_once, begin, outcomes_at_once, patiently
from tests.wallet.granted import grant, set_budget, spent
from tests.wallet.racing import (
    BLOG,
    MAIL,
    capture,
    charge,
    errors,
    hold,
    kinds,
    refund,
    void,
    waiting_callers,
)
from wallet.books import laws
from wallet.books.funds import available_of, funds_of
from wallet.charges import budgets
from wallet.models import Budget, Entry, Hold, LotMove, Wallet

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 2


def charges(number, credits=3, service=BLOG):
    return [partial(charge, credits, f"{service.product}:{n}", service=service) for n in range(number)]


def holds(number, credits=3, service=BLOG):
    return [partial(hold, f"{service.product}:{n}", credits, service=service) for n in range(number)]


def remove_budget(**budget):
    return patiently(lambda: budgets.remove_budget(user_id="usr_1", **budget))


# --- The last credits of a day ------------------------------------------------------------------------


@pytest.mark.parametrize("round", range(ROUNDS))
def test_12_charges_of_3_on_a_day_of_20_let_6_in(give, article_rate, round):
    give("usr_1", 100)
    set_budget(20)
    outcomes = outcomes_at_once(charges(12))
    assert kinds(outcomes) == {"done": 6, "BudgetSpent": 6}
    assert {(error.available, error.required, error.limited_by["spent"]) for error in errors(outcomes)} == {
        (2, 3, 18)
    }
    assert (available_of("usr_1"), spent()) == (82, [18])


@pytest.mark.parametrize("granted", [0, 10, 100])
def test_charges_and_holds_never_go_over_a_budget(give, article_rate, granted):
    """Grants spend budgets as paid credits do."""
    give("usr_1", 100)
    if granted:
        grant(credits=granted)
    set_budget(20)
    outcomes = outcomes_at_once([*charges(6), *holds(6)])
    assert kinds(outcomes) == {"done": 6, "BudgetSpent": 6}
    assert (available_of("usr_1"), spent()) == (82 + granted, [18])
    of_lots = sum(-move.credits for move in LotMove.objects.filter(credits__lt=0))
    held_of_lots = sum(lot.held for lot in funds_of("usr_1").grants)
    assert of_lots + held_of_lots == min(granted, 18)


def test_the_least_of_several_budgets_decides(give, article_rate):
    """The blog has 6 at most, by its own budget. All products have 15 at most, by the user's."""
    give("usr_1", 100)
    set_budget(15)
    set_budget(40, period="month")
    set_budget(6, set_by="product", product="blog")
    set_budget(100, product="mail")
    outcomes = outcomes_at_once([*charges(6), *charges(6, service=MAIL)])
    blog, mail = kinds(outcomes[:6]), kinds(outcomes[6:])
    assert (blog["done"] + mail["done"], blog["BudgetSpent"] + mail["BudgetSpent"]) == (5, 7)
    assert blog["done"] <= 2
    # Of the user over all: by day and by month; for mail; and the blog's own.
    assert spent() == [15, 15, 3 * mail["done"], 3 * blog["done"]]


@pytest.mark.parametrize("round", range(ROUNDS))
def test_what_comes_back_makes_room_for_as_much(give, article_rate, round):
    """The day is spent: 3 charges and 3 holds of 3. While they come back, 12 charges come in."""
    give("usr_1", 100)
    set_budget(18)
    made = at_once([*charges(3), *holds(3)])
    calls: list[Any] = [
        *(partial(refund, f"undo:{n}", {"pk": made[n].pk}) for n in range(3)),
        *(partial(void, made[3 + n].hold.pk) for n in range(2)),
        partial(capture, made[5].hold.pk, 1),
    ]
    new = [partial(charge, 2, f"new:{n}") for n in range(12)]
    outcomes = outcomes_at_once([*calls, *new])
    assert kinds(outcomes[:6]) == {"done": 6}
    done = kinds(outcomes[6:])["done"]
    assert spent() == [1 + 2 * done]
    # 17 credits came back. Those that came too early find room now, and no more than there is.
    assert done <= 8
    more = outcomes_at_once([partial(charge, 2, f"more:{n}") for n in range(10)])
    assert (kinds(more)["done"], kinds(more)["BudgetSpent"]) == (8 - done, 2 + done)
    assert spent() == [17]


# --- A budget that is set while charges run -----------------------------------------------------------


def test_a_budget_that_is_set_while_charges_run_counts_all_of_them(give, article_rate):
    """Budgets are set and removed again and again. Each counts what was spent from the first moment."""
    give("usr_1", 1000)
    stop = threading.Event()

    def keep_on(name, act):
        number = 0
        while not stop.is_set():
            act(f"{name}:{number}")
            number += 1
        return number

    def charge_and_refund(key):
        made = charge(2, key)
        refund(f"undo {key}", {"pk": made.pk}, 1)

    def hold_and_end(key):
        made = hold(key, 3).hold
        capture(made.pk, 1)
        void(hold(f"again {key}", 2).hold.pk)

    busy = [
        begin(partial(keep_on, "a", charge_and_refund)),
        begin(partial(keep_on, "b", hold_and_end)),
        begin(partial(keep_on, "c", lambda key: charge(1, key, service=MAIL))),
    ]
    try:
        for _ in range(5):
            known = Entry.objects.count()
            patiently(lambda: set_budget(10**6))
            patiently(lambda: set_budget(10**6, set_by="product", product="blog", period="month"))
            with snapshot():
                assert laws.violations() == []
            while Entry.objects.count() < known + 3:  # The charges go on in between.
                assert not any(caller.done() for caller in busy)
            if known < 40:
                remove_budget(set_by="user", product="", period="day")
                remove_budget(set_by="product", product="blog", period="month")
    finally:
        stop.set()
    assert min(caller.result(timeout=120) for caller in busy) > 0
    patiently(lambda: set_budget(10**6))
    set_budget(10**6, set_by="product", product="blog", period="month")
    counts: dict[str, int] = {"": 0, "blog": 0}
    for entry in Entry.objects.filter(kind__in=["deduct", "capture", "refund"]):
        counts[""] -= entry.credits
        counts["blog"] -= entry.credits if entry.product == "blog" else 0
    assert spent() == [counts[""], counts["blog"]]


def test_a_budget_that_is_set_under_waiting_charges_limits_them(give, article_rate):
    give("usr_1", 100)
    charge(5)
    outcomes = waiting_callers(lambda: set_budget(20), calls=charges(12))
    assert kinds(outcomes) == {"done": 5, "BudgetSpent": 7}
    assert spent() == [20]


@pytest.mark.parametrize("credits", [0, 3, 6])
def test_a_budget_that_is_lowered_under_waiting_charges_limits_them(give, article_rate, credits):
    """The wallet has a budget, so the callers wait with the lock of the full branch."""
    give("usr_1", 100)
    set_budget(50)
    outcomes = waiting_callers(lambda: set_budget(credits), wait_with="SELECT", calls=charges(12))
    assert kinds(outcomes)["done"] == credits // 3
    assert spent() == [credits]


def test_a_budget_that_is_removed_under_waiting_charges_limits_none(give, article_rate):
    give("usr_1", 100)
    budget = {"set_by": "user", "product": "", "period": "day"}
    set_budget(0)
    outcomes = waiting_callers(lambda: remove_budget(**budget), wait_with="SELECT", calls=charges(12))
    assert kinds(outcomes) == {"done": 12}
    assert (spent(), Wallet.objects.get().budgets) == ([], 0)


def test_one_budget_that_8_callers_set_is_one(give, article_rate):
    """The user has no wallet yet."""
    calls = [partial(patiently, partial(set_budget, credits)) for credits in range(8)]
    answers = at_once(calls)
    assert sorted(answer.credits for answer in answers) == list(range(8))
    assert (Budget.objects.count(), Wallet.objects.get().budgets) == (1, 1)


def test_the_limit_of_budgets_is_exact_when_8_are_set_at_once(db, monkeypatch):
    monkeypatch.setattr(budgets, "BUDGETS_MAX", 5)
    set_budget(1, product="p0")
    calls: list[Any] = [partial(patiently, partial(set_budget, 1, product=f"q{n}")) for n in range(8)]
    assert kinds(outcomes_at_once(calls)) == {"done": 4, "TooManyBudgets": 4}
    assert (Budget.objects.count(), Wallet.objects.get().budgets) == (5, 5)
    set_budget(2, product="p0")  # One that is there can still be changed.


def test_budgets_are_set_and_removed_by_many_at_once(give, article_rate):
    give("usr_1", 50)
    budget = {"set_by": "user", "product": "", "period": "day"}

    def set_and_remove(n):
        patiently(lambda: set_budget(30 + n))
        try:
            charge(2, f"a:{n}")
            void(hold(f"c:{n}", 2).hold.pk)
        except BillingError:
            pass
        remove_budget(**budget)

    at_once([partial(set_and_remove, n) for n in range(8)])
    assert (Budget.objects.count(), Wallet.objects.get().budgets) == (0, 0)
    assert set_budget(100).spent == sum(-entry.credits for entry in Entry.objects.filter(kind="deduct")) == 16
    assert not Hold.objects.filter(state="open").exists()
