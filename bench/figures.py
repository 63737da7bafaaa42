"""The figures computed from the measurements."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.histories import Reading
from bench.ledgers import Page
from bench.plan import NOOP, SCENARIOS, SELECT_FOR_UPDATE, Scenario, Variant
from bench.rounds import Outcome, Turn


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

    Latencies are of all requests of all rounds. A ratio compares two rates of the same round, so a slow
    moment of the machine affects both; above 1 is faster. Processor times are per request, 0 if unknown.
    """

    requests: int
    errors: int
    per_second: Spread
    p50_ms: float
    p99_ms: float
    to_select_for_update: Spread
    to_noop: Spread
    web_cpu_ms: float
    database_cpu_ms: float


def figures(outcome: Outcome, scenario: Scenario, variant: Variant) -> Figures:
    """The figures of one variant under one load."""
    turns = outcome.of(scenario, variant)
    latencies = sorted(latency for turn in turns for latency in turn.answers.latencies)
    return Figures(
        requests=len(latencies),
        errors=sum(len(turn.answers.errors) for turn in turns),
        per_second=Spread.of([turn.per_second for turn in turns]),
        p50_ms=percentile(latencies, 50) * 1000,
        p99_ms=percentile(latencies, 99) * 1000,
        to_select_for_update=_ratio(turns, outcome.of(scenario, SELECT_FOR_UPDATE)),
        to_noop=_ratio(turns, outcome.of(scenario, NOOP)),
        web_cpu_ms=_per_request_ms([turn.spent.web for turn in turns], latencies),
        database_cpu_ms=_per_request_ms([turn.spent.database for turn in turns], latencies),
    )


def percentile(ascending: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all values do not exceed; 0 if there are none."""
    if not ascending:
        return 0.0
    return ascending[math.ceil(len(ascending) * percent / 100) - 1]


def as_json(
    outcome: Outcome, readings: Sequence[Reading], pages: Sequence[Page], machine: dict[str, str]
) -> dict[str, Any]:
    """Everything, for programs."""
    loads = {
        scenario.name: {
            "load": scenario.title,
            "variants": {
                variant.name: asdict(figures(outcome, scenario, variant)) for variant in scenario.variants
            },
        }
        for scenario in SCENARIOS
    }
    return {
        "machine": machine,
        "loads": loads,
        "histories": {reading.title: reading.as_json() for reading in readings},
        "back_office": {page.title: page.as_json() for page in pages},
        "client_cpu_ms": outcome.client_ms,
        "cores_of_others": outcome.cores_of_others,
        "web_workers_bytes": [asdict(worker) for worker in outcome.memory],
        "errors": outcome.errors[:10],
        "troubles": outcome.troubles,
    }


def _ratio(turns: Sequence[Turn], others: Sequence[Turn]) -> Spread:
    rates = [(turn.per_second, other.per_second) for turn, other in zip(turns, others, strict=True)]
    return Spread.of([mine / theirs if theirs else 0.0 for mine, theirs in rates])


def _per_request_ms(seconds: Sequence[float], latencies: Sequence[float]) -> float:
    return sum(seconds) * 1000 / len(latencies) if latencies else 0.0
