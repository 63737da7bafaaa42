"""The run itself: rounds in which every variant has its turn, so that the machine's noise hits all alike."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db import connection

from bench import books, client, consumption, plan
from bench.books import Books
from bench.client import Answers
from bench.consumption import Memory
from bench.plan import Plan, Scenario, Variant
from foundation.database.patience import patient


@dataclass(frozen=True)
class Spent:
    """Processor time in seconds: of the web workers, of PostgreSQL's processes for them, of everybody."""

    web: float
    database: float
    everybody: float

    def since(self, earlier: "Spent") -> "Spent":
        return Spent(
            self.web - earlier.web,
            self.database - earlier.database,
            self.everybody - earlier.everybody,
        )


@dataclass(frozen=True)
class Turn:
    """One variant under one load in one round."""

    scenario: Scenario
    variant: Variant
    answers: Answers
    spent: Spent

    @property
    def per_second(self) -> float:
        return len(self.answers.latencies) / self.answers.seconds

    @property
    def strangers(self) -> float:
        """Processor time of whoever has no part in the turn: what else runs on the machine."""
        part = self.spent.web + self.spent.database + self.answers.processor_seconds
        return max(0.0, self.spent.everybody - part)


@dataclass
class Outcome:
    """Everything a run has measured."""

    turns: list[Turn] = field(default_factory=list)
    # Not in the figures; but what goes wrong there is wrong all the same.
    warm_up: list[Turn] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def of(self, scenario: Scenario, variant: Variant) -> list[Turn]:
        """The turns of one variant under one load, by round."""
        return [turn for turn in self.turns if (turn.scenario, turn.variant) == (scenario, variant)]

    @property
    def cores_of_strangers(self) -> float:
        """How many cores others kept busy on average. PostgreSQL's log writer and the kernel are in it."""
        return sum(turn.strangers for turn in self.turns) / sum(turn.answers.seconds for turn in self.turns)

    @property
    def client_ms(self) -> float:
        """Processor time the client used for a request, in milliseconds."""
        requests = sum(len(turn.answers.latencies) for turn in self.turns)
        return sum(turn.answers.processor_seconds for turn in self.turns) * 1000 / max(requests, 1)

    @property
    def errors(self) -> list[str]:
        return [error for turn in self.warm_up + self.turns for error in turn.answers.errors]


def hold(asked: Plan, address: tuple[str, int], on_turn: Callable[[], None]) -> Outcome:
    """Measure as planned, then look at memory and at the books."""
    outcome = Outcome()
    with patient():
        opened = Books(asked.wallets)
    outcome.warm_up = list(_round(opened, address, round_number=0, seconds=asked.warm_up_seconds))
    with patient(), connection.cursor() as cursor:
        # From here on the planner knows the tables, not whenever the first autovacuum comes by.
        cursor.execute("VACUUM (ANALYZE)")
    for number in range(asked.rounds):
        for turn in _round(opened, address, round_number=number, seconds=asked.seconds):
            outcome.turns.append(turn)
            on_turn()
    outcome.memory = [found for pid in consumption.web_workers() if (found := consumption.memory(pid))]
    allowed: Counter[str] = Counter()
    for turn in outcome.warm_up + outcome.turns:
        allowed[turn.variant.name] += len(turn.answers.latencies)
    with patient():
        outcome.troubles = books.troubles(allowed)
    return outcome


def _round(opened: Books, address: tuple[str, int], *, round_number: int, seconds: float) -> Iterator[Turn]:
    for scenario in plan.SCENARIOS:
        # How connections fall to the workers is luck. In a round all variants share it.
        with client.connected(address, scenario.connections) as connections:
            for variant in plan.order(round_number):
                requests = opened.charges(variant, one_wallet=scenario.one_wallet)
                yield _turn(scenario, variant, connections, requests, seconds)


def _turn(
    scenario: Scenario,
    variant: Variant,
    connections: list[client.Connection],
    requests: Iterator[bytes],
    seconds: float,
) -> Turn:
    before = _spent()
    answers = client.load(connections, requests, seconds)
    return Turn(scenario, variant, answers, _spent().since(before))


def _spent() -> Spent:
    return Spent(
        web=consumption.processor_seconds(consumption.web_workers()),
        database=consumption.processor_seconds(consumption.database_backends()),
        everybody=consumption.processor_seconds_of_everybody(),
    )
