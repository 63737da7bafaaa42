"""The run: each round measures every variant, so noise on the machine affects all of them alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from django.db import connection

from bench import books, client, consumption, limit, plan
from bench.books import Books
from bench.limit import Limit, Pgbench
from bench.outcome import Outcome, ProcessorTime, Turn
from bench.plan import BATCHES_AT_ONCE, NOOP, Plan, Scenario, Variant
from foundation.database.patience import patient


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
