"""The figures computed from the measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.outcome import Outcome, Turn, percentile
from bench.plan import NOOP, OURS, SELECT_FOR_UPDATE, Scenario, Variant


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds: its median, the lowest and the highest round."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Figures:
    """One variant under one load.

    Rates and processor times are those of a charge, latencies those of a request: they differ for batches.
    Latencies are of all requests of all rounds. A ratio compares two rates of the same round, so a slow
    moment of the machine affects both; above 1 is faster. Processor times are 0 if unknown.
    """

    requests: int
    errors: int
    per_second: Spread
    p50_ms: float
    p99_ms: float
    to_select_for_update: Spread
    to_noop: Spread
    to_ours: Spread
    web_cpu_ms: float
    database_cpu_ms: float


def figures(outcome: Outcome, scenario: Scenario, variant: Variant) -> Figures:
    """The figures of one variant under one load."""
    turns = outcome.of(scenario, variant)
    latencies = sorted(latency for turn in turns for latency in turn.answers.latencies)
    charges = len(latencies) * variant.charges
    return Figures(
        requests=len(latencies),
        errors=sum(len(turn.answers.errors) for turn in turns),
        per_second=Spread.of([turn.per_second for turn in turns]),
        p50_ms=percentile(latencies, 50) * 1000,
        p99_ms=percentile(latencies, 99) * 1000,
        to_select_for_update=_ratio(turns, outcome.of(scenario, SELECT_FOR_UPDATE)),
        to_noop=_ratio(turns, outcome.of(scenario, NOOP)),
        to_ours=_ratio(turns, outcome.of(scenario, OURS)),
        web_cpu_ms=_per_charge_ms([turn.spent.web for turn in turns], charges),
        database_cpu_ms=_per_charge_ms([turn.spent.database for turn in turns], charges),
    )


def ratios(turns: Sequence[Turn], others: Sequence[Turn]) -> list[float]:
    """How many times faster these turns were than those of the same rounds; 0 where one had no answers."""
    rates = [(turn.per_second, other.per_second) for turn, other in zip(turns, others, strict=True)]
    return [mine / theirs if theirs else 0.0 for mine, theirs in rates]


def _ratio(turns: Sequence[Turn], others: Sequence[Turn]) -> Spread:
    return Spread.of(ratios(turns, others))


def _per_charge_ms(seconds: Sequence[float], charges: int) -> float:
    return sum(seconds) * 1000 / charges if charges else 0.0


@dataclass(frozen=True)
class LimitFigures:
    """What PostgreSQL does alone under one load, and which part of it our charge reaches."""

    per_second: Spread
    reached: Spread


def limit_figures(outcome: Outcome, scenario: Scenario) -> LimitFigures | None:
    """The figures of PostgreSQL alone; None if it was not measured."""
    rates = outcome.limits_of(scenario)
    if not rates:
        return None
    reached = [turn.per_second / rate for turn, rate in zip(outcome.of(scenario, OURS), rates, strict=True)]
    return LimitFigures(Spread.of(rates), Spread.of(reached))
