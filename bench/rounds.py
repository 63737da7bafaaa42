"""The run: each round measures every variant, so noise on the machine affects all of them alike."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import connection

from bench import books, client, consumption, limit, plan
from bench.books import Books
from bench.client import Answers
from bench.consumption import Memory
from bench.limit import Limit, Pgbench
from bench.plan import BATCHES_AT_ONCE, NOOP, Plan, Scenario, Variant
from foundation.database.patience import patient


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


def run(options: Plan, address: tuple[str, int], on_turn: Callable[[], None]) -> Outcome:
    """Measure as planned, then read the memory and check the books."""
    outcome = Outcome()
    with patient():
        opened = Books(options.wallets)
        pgbench = limit.find(opened.service, books.FEATURE)
    outcome.warm_up = list(_round(opened, address, round_number=0, seconds=options.warm_up_seconds))
    with patient(), connection.cursor() as cursor:
        # Now the planner knows the tables. Otherwise it would learn them at the first autovacuum.
        cursor.execute("VACUUM (ANALYZE)")
    for number in range(options.rounds):
        for turn in _round(opened, address, round_number=number, seconds=options.seconds):
            outcome.turns.append(turn)
            on_turn()
        if pgbench:
            outcome.limits += _limits(pgbench, opened, options.seconds)
    outcome.memory = [used for pid in consumption.web_workers() if (used := consumption.memory(pid))]
    charges: Counter[Variant] = Counter()
    for turn in outcome.warm_up + outcome.turns:
        charges[turn.variant] += len(turn.answers.latencies) * turn.variant.new_charges
    with patient():
        by_pgbench = sum(each.charges for each in outcome.limits)
        outcome.troubles = opened.troubles(charges, by_pgbench=by_pgbench)
    return outcome


def _round(opened: Books, address: tuple[str, int], *, round_number: int, seconds: float) -> Iterator[Turn]:
    for scenario in plan.SCENARIOS:
        # How connections are spread over the workers is chance. In a round all variants share it.
        with client.connected(address, scenario.connections) as connections:
            # An answer on each connection: from now on, every connection belongs to a worker.
            client.load(connections, opened.requests(NOOP, one_wallet=True), seconds=0)
            for variant in scenario.order(round_number):
                used = _few_for_each_worker(connections) if variant.is_batch else connections
                requests = opened.requests(variant, one_wallet=scenario.one_wallet)
                yield _turn(scenario, variant, used, requests, seconds)


def _limits(pgbench: Pgbench, opened: Books, seconds: float) -> Iterator[Limit]:
    for scenario in plan.LIMITED:
        yield pgbench.run(scenario, opened.user_ids_of(one_wallet=scenario.one_wallet), seconds)


def _few_for_each_worker(connections: Sequence[client.Connection]) -> list[client.Connection]:
    """As many connections as the web workers serve batches at once, of each worker alike."""
    few: list[client.Connection] = []
    taken: Counter[int | None] = Counter()
    workers = consumption.workers_by_port()
    for each in connections:
        worker = workers.get(each.port)
        if taken[worker] < BATCHES_AT_ONCE:
            taken[worker] += 1
            few.append(each)
    return few


def _turn(
    scenario: Scenario,
    variant: Variant,
    connections: Sequence[client.Connection],
    requests: Iterator[bytes],
    seconds: float,
) -> Turn:
    before = _processor_time()
    answers = client.load(connections, requests, seconds, is_right=variant.is_right)
    return Turn(scenario, variant, answers, _processor_time().since(before))


def _processor_time() -> ProcessorTime:
    return ProcessorTime(
        web=consumption.processor_seconds(consumption.web_workers()),
        database=consumption.processor_seconds(consumption.database_backends()),
        machine=consumption.processor_seconds_of_machine(),
    )
