"""The figures: paired ratios, their median, and how far chance may have moved it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from bench.against.plan import CONTESTANTS, RATIO_MIN, ROUNDS_FOR_A_VERDICT, Contestant
from bench.against.turns import Outcome

YES, WITHIN_THE_SPREAD, NO, TOO_FEW_ROUNDS = "yes", "within the spread", "no", "too few rounds"
# The interval misses the true median with at most this probability.
MISSED_MAX = 0.05


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and the interval in which the true median is with a probability of 95 %.

    A ratio is the processor time of one charge of the base, divided by that of the contestant in the same
    round. 1 means equal; below 1, the contestant costs more than its base.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> "Ratio":
        ratios = sorted(before / after for before, after in pairs)
        outside = left_out(len(ratios))
        return cls(median(ratios), ratios[outside], ratios[-1 - outside])

    def verdict(self, least: float) -> str:
        """Whether the ratio is at least so much."""
        if self.median >= least:
            return YES
        return WITHIN_THE_SPREAD if self.high >= least else NO


def left_out(values: int) -> int:
    """How many of so many measured values are outside the interval, at each end.

    A value is below the true median with probability 1/2, so the number of values below it is binomial,
    however the machine disturbs them. For fewer than six values no interval is sure enough: then none is left
    out.
    """
    count, missed = 0, 2 / 2**values
    while missed <= MISSED_MAX:
        count += 1
        missed += 2 * comb(values, count) / 2**values
    return max(count - 1, 0)


@dataclass(frozen=True)
class Cost:
    """Processor time of a charge of one contestant in milliseconds: the medians of its turns."""

    contestant: Contestant
    web_ms: float
    database_ms: float
    both_ms: float
    charges: int
    errors: int


@dataclass(frozen=True)
class Comparison:
    """A contestant compared with its base: the ratios of web workers, of PostgreSQL, and of their sum."""

    base: Contestant
    contestant: Contestant
    web: Ratio
    database: Ratio
    both: Ratio
    verdict: str


def costs(outcome: Outcome) -> Iterator[Cost]:
    """What a charge of each contestant costs."""
    for contestant in CONTESTANTS:
        turns = outcome.of(contestant)
        yield Cost(
            contestant,
            web_ms=median(turn.web_ms for turn in turns),
            database_ms=median(turn.database_ms for turn in turns),
            both_ms=median(turn.both_ms for turn in turns),
            charges=sum(len(turn.answers.latencies) for turn in turns),
            errors=sum(len(turn.answers.errors) for turn in turns),
        )


def comparisons(outcome: Outcome) -> Iterator[Comparison]:
    """Each contestant that has a base, compared with it."""
    by_name = {each.name: each for each in CONTESTANTS}
    for contestant in CONTESTANTS:
        if base := by_name.get(contestant.base):
            pairs = list(zip(outcome.of(base), outcome.of(contestant), strict=True))
            both = Ratio.of([(before.both_ms, after.both_ms) for before, after in pairs])
            yield Comparison(
                base,
                contestant,
                web=Ratio.of([(before.web_ms, after.web_ms) for before, after in pairs]),
                database=Ratio.of([(before.database_ms, after.database_ms) for before, after in pairs]),
                both=both,
                verdict=both.verdict(RATIO_MIN) if len(pairs) >= ROUNDS_FOR_A_VERDICT else TOO_FEW_ROUNDS,
            )
