"""What the figures have to reach: ratios of one run, each with a bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import Spread, ratios
from bench.outcome import Outcome
from bench.plan import (
    ALONE,
    BATCH,
    BATCHES,
    EVERY_THREAD,
    HOT,
    MANY,
    NOOP,
    OURS,
    SELECT_FOR_UPDATE,
    Scenario,
    Variant,
)


@dataclass(frozen=True)
class Goal:
    """A ratio that must be at least `bound`, or at most. `of` returns it for each round."""

    title: str
    bound: float
    of: Callable[[Outcome], Sequence[float]]
    at_most: bool = False

    def result(self, outcome: Outcome) -> "Result":
        return Result(self, Spread.of(self.of(outcome)))


@dataclass(frozen=True)
class Result:
    """A goal, and what was measured. The median of the rounds decides."""

    goal: Goal
    measured: Spread

    @property
    def is_met(self) -> bool:
        median, bound = self.measured.median, self.goal.bound
        return median <= bound if self.goal.at_most else median >= bound

    @property
    def bound(self) -> str:
        """The bound in words."""
        return f"at {'most' if self.goal.at_most else 'least'} {self.goal.bound:g}"

    def as_json(self) -> dict[str, Any]:
        return {
            "goal": self.bound,
            "median": self.measured.median,
            "lowest": self.measured.lowest,
            "highest": self.measured.highest,
            "met": self.is_met,
        }


def _rates(
    mine: tuple[Scenario, Variant], other: tuple[Scenario, Variant]
) -> Callable[[Outcome], list[float]]:
    return lambda outcome: ratios(outcome.of(*mine), outcome.of(*other))


def _tails(scenario: Scenario) -> Callable[[Outcome], list[float]]:
    return lambda outcome: [turn.p99_to_p50 for turn in outcome.of(scenario, OURS)]


_CHARGE = MANY, OURS
_CALLERS = f"{EVERY_THREAD} connections"
GOALS = (
    Goal(f"charge / usual wallet, {_CALLERS}", 3.5, _rates(_CHARGE, (MANY, SELECT_FOR_UPDATE))),
    Goal("charge / usual wallet, one caller", 2.0, _rates((ALONE, OURS), (ALONE, SELECT_FOR_UPDATE))),
    Goal("charge / no-op view with the same middleware", 0.55, _rates(_CHARGE, (MANY, NOOP))),
    Goal("one hot wallet / many wallets", 0.85, _rates((HOT, OURS), _CHARGE)),
    Goal(f"batches of {BATCH}, one wallet / single calls", 8, _rates((MANY, BATCHES), _CHARGE)),
    Goal(f"p99 / p50 of the charge, {_CALLERS}", 4, _tails(MANY), at_most=True),
    Goal("p99 / p50 of the charge, one hot wallet", 4, _tails(HOT), at_most=True),
)


def results(outcome: Outcome) -> list[Result]:
    """What a run has measured of each goal."""
    return [goal.result(outcome) for goal in GOALS]
