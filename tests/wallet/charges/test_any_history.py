"""Random histories of one wallet, against a model that ends each hold and each grant exactly at its second.

Hypothesis makes up payments and disputes, charges, holds, grants, budgets, refunds by products and by staff,
adjustments, new prices, a frozen wallet, and time that passes: over ends, midnights and the end of a month.
The service is lazy: it writes down that a hold has expired or a grant has ended when a verb locks the wallet,
or when `tidy` comes by. After each step the answer, the funds, the history, the budgets and every hold must
be what the model says. So no answer depends on whether a background job has run, nor on which of the two
branches a charge took. What the wallet had at past times must be what the model had then.
"""

from collections import Counter
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.wallet.charges.steps import LIMITS
from tests.wallet.charges.steps_of_charges import StepsOfCharges
from tests.wallet.charges.steps_of_grants import StepsOfGrants
from wallet.books import laws, ledger
from wallet.charges import budgets, debits
from wallet.grants import granting

# How often each step is taken.
STEPS = {
    "change_of_mood": 3,
    "top_up": 4,
    "time_passes": 2,
    "time_reaches_the_end_of_a_hold": 4,
    "time_reaches_the_end_of_a_lot": 4,
    "time_crosses_a_midnight": 2,
    "tidy": 1,
    "deduct": 8,
    "quote": 1,
    "change_or_withdraw_a_rate": 2,
    "authorize": 9,
    "capture": 6,
    "void": 2,
    "extend": 3,
    "list_holds": 1,
    "refund": 5,
    "give_back_by_staff": 2,
    "adjust": 3,
    "freeze_or_not": 2,
    "dispute_moves_money": 2,
    "grant": 6,
    "void_grant": 2,
    "list_grants": 2,
    "set_budget": 4,
    "remove_budget": 2,
    "list_budgets": 1,
    "look_back": 2,
}
# A history has stretches in each of these moods. Without grants and budgets, the plain branch is taken.
NO_GRANTS = {"grant": 0, "void_grant": 4, "time_reaches_the_end_of_a_lot": 6}
NO_BUDGETS = {"set_budget": 0, "remove_budget": 8}
MOODS = {
    "neither": NO_GRANTS | NO_BUDGETS,
    "grants": NO_BUDGETS,
    "budgets": NO_GRANTS,
    "both": {},
}
# What a step needs: something of the model, or of the machine.
NEEDS = {
    "time_reaches_the_end_of_a_hold": "open_holds",
    "time_reaches_the_end_of_a_lot": "lots_to_end",
    "capture": "holds",
    "void": "holds",
    "extend": "holds",
    "refund": "charges",
    "give_back_by_staff": "charges",
    "dispute_moves_money": "payments",
    "void_grant": "lot_ids",
    "list_grants": "lot_ids",
    "remove_budget": "budgets",
    "list_budgets": "budgets",
}


class Histories(StepsOfCharges, StepsOfGrants, RuleBasedStateMachine):
    mood = "both"

    @initialize(mood=st.sampled_from(list(MOODS)))
    def begin(self, mood):
        self.mood = mood

    def change_of_mood(self, random):
        self.mood = random.choice(list(MOODS))

    # Hypothesis draws a seed for each step, and nothing else. So the steps come as often as their weights
    # say, and hypothesis still makes a history shorter that fails.
    @rule(seed=st.binary(min_size=4, max_size=4))
    def step(self, seed):
        random = Random(seed)  # noqa: S311 (a test's steps, no secret)
        model = self.model
        often = STEPS | MOODS[self.mood]
        for name, needed in NEEDS.items():
            if not getattr(model if hasattr(model, needed) else self, needed):
                often[name] = 0
        if model.frozen:  # Not for long, because nothing is charged then.
            often["freeze_or_not"] = 6
        if None in model.prices.values():
            often["change_or_withdraw_a_rate"] = 6
        (name,) = random.choices(list(often), list(often.values()))
        note(f"{model.now:%Y-%m-%d %H:%M:%S.%f} {name}")
        getattr(self, name)(random)
        model.remember()

    @invariant()
    def the_books_say_what_the_model_says(self):
        self.compare_the_books()
        self.steps += 1
        if self.steps % self.steps_between_laws == 0:
            assert laws.violations() == []


# The answers that a history can come to. Long histories come to nearly all of them.
ANSWERS = {
    "charge", "charge again", "quote", "hold made", "hold made again", "hold", "hold again",
    "refund", "refund again", "given back", "adjustment",
    "grant made", "grant made again", "grant voided", "grant voided again", "budget",
    "UnknownFeature", "InsufficientCredits", "BudgetSpent", "WalletFrozen", "TooManyHolds", "MoreThanHeld",
    "HoldCaptured", "HoldVoided", "HoldExpired", "HoldTooOld", "KeyReused", "KeyEnded", "ChargeGivenBack",
    "NotFound", "NothingToGiveBack", "GrantEndOutOfRange", "TooManyGrants", "GrantVoided", "TooManyBudgets",
}  # fmt: skip


@pytest.fixture(params=["both branches", "the full branch"])
def branches(request, monkeypatch):
    """The service as it is, and without the short way. Both must answer as the model does."""
    monkeypatch.setattr(debits, "OPEN_HOLDS_MAX", LIMITS.open_holds)
    monkeypatch.setattr(debits, "OPEN_HOLDS_OF_PRODUCT_MAX", LIMITS.open_holds_of_product)
    monkeypatch.setattr(granting, "GRANTS_MAX", LIMITS.lots)
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", LIMITS.lots_of_product)
    monkeypatch.setattr(budgets, "BUDGETS_MAX", LIMITS.budgets)
    if request.param == "the full branch":
        monkeypatch.setattr(ledger, "take_plainly", lambda *args, **options: False)
        monkeypatch.setattr(ledger, "set_aside_plainly", lambda *args, **options: False)


def run(histories: int, steps: int, *, steps_between_laws: int, looks_back_at_all: bool = False) -> set[str]:
    """Run random histories; the kinds of answers that were given."""
    Histories.answers, Histories.steps_between_laws = Counter(), steps_between_laws
    Histories.moments_compared, Histories.looks_back_at_all = 0, looks_back_at_all
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            phases=(Phase.generate,),
            derandomize=True,  # The same histories each time: a failure comes from a change of the code.
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return set(Histories.answers)


@pytest.mark.django_db
def test_any_history_is_the_models(branches):
    run(8, 60, steps_between_laws=10)


@pytest.mark.django_db
@pytest.mark.slow
def test_many_long_histories_are_the_models(branches):
    answers = run(20, 80, steps_between_laws=6)
    assert len(ANSWERS & answers) >= len(ANSWERS) - 4, ANSWERS - answers


@pytest.mark.django_db
@pytest.mark.slow
def test_what_the_wallet_had_at_past_moments_is_what_the_model_had_then(branches):
    run(10, 60, steps_between_laws=60, looks_back_at_all=True)
    assert Histories.moments_compared >= 1000
