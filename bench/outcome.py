"""What a run has measured: the turns, PostgreSQL alone, memory, and where the books are wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.client import Answers
from bench.consumption import Memory
from bench.limit import Limit
from bench.plan import Scenario, Variant


def percentile(ascending: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all values do not exceed; 0 if there are none."""
    if not ascending:
        return 0.0
    return ascending[math.ceil(len(ascending) * percent / 100) - 1]


@dataclass(frozen=True)
class ProcessorTime:
    """Processor time in seconds: of the web workers, of their PostgreSQL processes, of the whole machine."""

    web: float
    database: float
    machine: float

    def since(self, earlier: "ProcessorTime") -> "ProcessorTime":
        return ProcessorTime(
            self.web - earlier.web,
            self.database - earlier.database,
            self.machine - earlier.machine,
        )


@dataclass(frozen=True)
class Turn:
    """One variant under one load in one round."""

    scenario: Scenario
    variant: Variant
    answers: Answers
    spent: ProcessorTime

    @property
    def per_second(self) -> float:
        """Right answers a second; of a batch, each charge counts."""
        return len(self.answers.latencies) * self.variant.charges / self.answers.seconds

    @property
    def p99_to_p50(self) -> float:
        """How many times the median the slowest of 100 requests takes; 0 without answers."""
        latencies = sorted(self.answers.latencies)
        return percentile(latencies, 99) / percentile(latencies, 50) if latencies else 0.0

    @property
    def other_seconds(self) -> float:
        """Processor time of all other processes on the machine."""
        measured = self.spent.web + self.spent.database + self.answers.processor_seconds
        return max(0.0, self.spent.machine - measured)


@dataclass
class Outcome:
    """Everything that a run has measured."""

    turns: list[Turn] = field(default_factory=list)
    # Not in the figures, but its errors count.
    warm_up: list[Turn] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def of(self, scenario: Scenario, variant: Variant) -> list[Turn]:
        """The turns of one variant under one load, by round."""
        return [turn for turn in self.turns if (turn.scenario, turn.variant) == (scenario, variant)]

    def limits_of(self, scenario: Scenario) -> list[float]:
        """How many charges a second PostgreSQL makes alone, by round; [] if there is no pgbench."""
        return [each.per_second for each in self.limits if each.scenario == scenario]

    @property
    def cores_of_others(self) -> float:
        """How many cores other processes used on average, with PostgreSQL's log writer and the kernel."""
        seconds = sum(turn.answers.seconds for turn in self.turns)
        return sum(turn.other_seconds for turn in self.turns) / seconds

    @property
    def client_ms(self) -> float:
        """Processor time that the client used per charge, in milliseconds."""
        requests = sum(len(turn.answers.latencies) * turn.variant.charges for turn in self.turns)
        return sum(turn.answers.processor_seconds for turn in self.turns) * 1000 / max(requests, 1)

    @property
    def errors(self) -> list[str]:
        return [error for turn in self.warm_up + self.turns for error in turn.answers.errors]
