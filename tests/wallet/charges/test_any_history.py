"""Random histories of one wallet, against a model that ends each hold and each grant exactly at its second.

Made up are payments and disputes, charges, holds, grants, budgets, refunds by products and by staff,
adjustments, new prices, a frozen wallet, and time that passes: over ends, midnights and the end of a month.
The service is lazy: it writes down that a hold has expired or a grant has ended when a verb locks the wallet,
or when `tidy` comes by. After each step the answer, the funds, the history, the budgets and every hold must
be what the model says. So no answer depends on whether a background job has run, nor on which of the two
branches a charge took. What the wallet had at past times must be what the model had then.
"""

import time
from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from foundation.database import compiled
from tests.wallet.charges.steps import LIMITS
from tests.wallet.charges.steps_of_charges import StepsOfCharges
from tests.wallet.charges.steps_of_grants import StepsOfGrants
from wallet.books import ledger
from wallet.charges import budgets, debits
from wallet.grants import granting
from wallet.models import Wallet

# How often each step is taken.
STEPS = {
    "change_of_mood": 2,
    "top_up": 5,
    "time_passes": 1,
    "time_reaches_the_end_of_a_hold": 3,
    "time_reaches_the_end_of_a_lot": 3,
    "time_crosses_a_midnight": 2,
    "tidy": 1,
    "deduct": 8,
    "quote": 1,
    "change_or_withdraw_a_rate": 1,
    "authorize": 12,
    "capture": 14,
    "void": 2,
    "extend": 2,
    "list_holds": 1,
    "refund": 8,
    "give_back_by_staff": 2,
    "adjust": 3,
    "freeze_or_not": 2,
    "dispute_moves_money": 2,
    "grant": 12,
    "void_grant": 3,
    "list_grants": 1,
    "set_budget": 6,
    "remove_budget": 1,
    "list_budgets": 1,
    "look_back": 2,
}
# A history has stretches in each of these moods. Without grants and budgets, the plain branch is taken.
NO_GRANTS = {"grant": 0, "void_grant": 4, "time_reaches_the_end_of_a_lot": 6}
NO_BUDGETS = {"set_budget": 0, "remove_budget": 8}
MOODS = {
    "both": {},
    "neither": NO_GRANTS | NO_BUDGETS,
    "grants": NO_BUDGETS,
    "budgets": NO_GRANTS,
}
# How a history begins in each mood.
BEGINNINGS = {
    "both": ["top_up", "set_budget", "grant", "set_budget", "grant"],
    "neither": ["top_up", "authorize"],
    "grants": ["top_up", "grant", "grant"],
    "budgets": ["top_up", "set_budget", "set_budget"],
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


class History(StepsOfCharges, StepsOfGrants):
    def __init__(self, mood: str) -> None:
        super().__init__()
        self.mood = mood
        self.taken: list[str] = []

    def take(self, name: str, seed: str) -> None:
        """Take a step; without a name, the seed chooses it. Then everything must be as the model says."""
        random = Random(seed)  # noqa: S311 (a test's steps, no secret)
        model = self.model
        if random.random() < 0.4:
            self.pass_time(model.now + timedelta(seconds=random.randint(1, 20)))
        name = name or self.a_step(random)
        self.taken.append(f"{model.now:%Y-%m-%d %H:%M:%S.%f} {name} ({seed})")
        getattr(self, name)(random)
        model.remember()
        self.compare_the_books(everything=len(self.taken) % 4 == 0)

    def a_step(self, random):
        """The name of a step that can be taken now."""
        model = self.model
        often = STEPS | MOODS[self.mood]
        if model.frozen:  # Not for long, because nothing is charged then.
            often |= {"freeze_or_not": 15, "adjust": 12}
        if None in model.prices.values():
            often["change_or_withdraw_a_rate"] = 12
        if not model.open_holds:
            often |= {"capture": 1, "void": 1, "extend": 1}
        elif model.budgets:
            often["time_crosses_a_midnight"] = 5
        for name, needed in NEEDS.items():
            if not getattr(model if hasattr(model, needed) else self, needed):
                often[name] = 0
        (name,) = random.choices(list(often), list(often.values()))
        return name

    def change_of_mood(self, random):
        self.mood = random.choice(["both", *MOODS])


# The answers that a history can come to. Long histories come to nearly all of them.
ANSWERS = {
    "charge", "charge again", "quote", "hold made", "hold made again", "hold", "hold again",
    "refund", "refund again", "given back", "adjustment",
    "grant made", "grant made again", "grant voided", "grant voided again", "budget",
    "UnknownFeature", "InsufficientCredits", "BudgetSpent", "WalletFrozen", "TooManyHolds", "MoreThanHeld",
    "HoldCaptured", "HoldVoided", "HoldExpired", "HoldTooOld", "KeyReused", "KeyEnded", "ChargeGivenBack",
    "NotFound", "NothingToGiveBack", "GrantEndOutOfRange", "TooManyGrants", "GrantVoided", "TooManyBudgets",
}  # fmt: skip


# In the place of the guarded update of a wallet: a statement that finds no row.
NOTHING = compiled.select(
    lambda: Wallet.objects.filter(
        pk=compiled.text("user_id"), balance=compiled.number("credits"), entries_count=-1
    ).values_list("balance", "held", "entries_count")
)


@pytest.fixture(params=["both branches", "the full branch"])
def branches(request, monkeypatch):
    """The service as it is, and without the short way. Both must answer as the model does."""
    monkeypatch.setattr(debits, "OPEN_HOLDS_MAX", LIMITS.open_holds)
    monkeypatch.setattr(debits, "OPEN_HOLDS_OF_PRODUCT_MAX", LIMITS.open_holds_of_product)
    monkeypatch.setattr(granting, "GRANTS_MAX", LIMITS.lots)
    monkeypatch.setattr(granting, "GRANTS_OF_PRODUCT_MAX", LIMITS.lots_of_product)
    monkeypatch.setattr(budgets, "BUDGETS_MAX", LIMITS.budgets)
    if request.param == "the full branch":
        monkeypatch.setattr(ledger, "TAKE", NOTHING)
        monkeypatch.setattr(ledger, "set_aside_plainly", lambda *args, **options: False)


# The name of a step, or "", and what its random numbers come from.
Seed = tuple[str, str]


class Run:
    """Random histories, the same ones each time: a failure comes from a change of the code."""

    SHRINKS_SECONDS_MAX = 60

    def __init__(
        self, histories: int, steps: int, *, steps_between_laws: int, looks_back: bool = False
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.moments = 0
        self.steps_between_laws, self.looks_back = steps_between_laws, looks_back
        for number in range(histories):
            mood = list(MOODS)[number % len(MOODS)]
            names = [*BEGINNINGS[mood], *[""] * steps][:steps]
            seeds = [(name, f"{number}:{step}") for step, name in enumerate(names)]
            try:
                self.play(mood, seeds)
            except Exception:
                self.play(mood, self.shrunk(mood, seeds))
                raise

    def play(self, mood: str, seeds: list[Seed]) -> None:
        """Play a history, with one step for each seed."""
        with History(mood) as history:
            try:
                for number, seed in enumerate(seeds, 1):
                    history.take(*seed)
                    if number % self.steps_between_laws == 0:
                        history.compare_the_laws()
                history.end(looks_back=self.looks_back)
            except Exception as error:
                error.add_note(
                    "\n".join([f"In this history, which began in the mood {mood!r}:", *history.taken])
                )
                raise
            self.answers += history.answers
            self.moments += history.moments_compared

    def shrunk(self, mood: str, seeds: list[Seed]) -> list[Seed]:
        """Leave out as many steps as possible of a history that fails."""
        give_up_at = time.monotonic() + self.SHRINKS_SECONDS_MAX
        size = len(seeds)
        while size and time.monotonic() < give_up_at:
            for first in reversed(range(0, len(seeds), size)):
                fewer = seeds[:first] + seeds[first + size :]
                if self.fails(mood, fewer):
                    seeds = fewer
            size //= 2
        return seeds

    def fails(self, mood: str, seeds: list[Seed]) -> bool:
        try:
            self.play(mood, seeds)
        except Exception:
            return True
        return False


@pytest.mark.django_db
def test_any_history_is_the_models(branches):
    Run(len(MOODS), 45, steps_between_laws=15)


@pytest.mark.django_db
@pytest.mark.slow
@pytest.mark.parametrize("branches", ["both branches"], indirect=True)
def test_many_long_histories_and_what_the_wallet_had_at_past_moments_are_the_models(branches):
    run = Run(16, 80, steps_between_laws=10, looks_back=True)
    assert len(ANSWERS & set(run.answers)) >= len(ANSWERS) - 4, ANSWERS - set(run.answers)
    assert run.moments >= 1000


@pytest.mark.django_db
@pytest.mark.slow
@pytest.mark.parametrize("branches", ["the full branch"], indirect=True)
def test_long_histories_without_the_short_way_are_the_models(branches):
    Run(len(MOODS), 80, steps_between_laws=10)
