"""The turns: in each round every way to enter is measured once, so noise on the machine affects all alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, cycle
from statistics import median

from bench import client, consumption
from bench.against.plan import FEATURE
from bench.client import Answers
from bench.cluster.servers import Database, Node, WebServers

WAYS = 4
DEDUCT = "/io/wallet/deduct"
WALLETS = 200
CONNECTIONS = 16
WARM_UP_SECONDS = 2.0
WEB = "web"
SINGLE = "one server"
COORDINATOR = "cluster, through the coordinator"
WORKERS = "cluster, through any worker"
RIGHT_WORKER = "cluster, through the wallet's own worker"


@dataclass(frozen=True)
class Way:
    """A way into a database: the nodes through which web servers enter, and the wallets that are charged."""

    title: str
    database: Database
    entries: Sequence[Node]
    user_ids: Sequence[str]


@dataclass(frozen=True)
class Turn:
    """One way in one round. Seconds are processor time: of the web workers, and of each node by its name."""

    way: Way
    answers: Answers
    web_seconds: float
    node_seconds: Mapping[str, float]

    @property
    def charges(self) -> int:
        return max(len(self.answers.latencies), 1)

    @property
    def per_second(self) -> float:
        return len(self.answers.latencies) / self.answers.seconds

    @property
    def web_ms(self) -> float:
        """Milliseconds of processor time of the web workers for each charge."""
        return self.web_seconds * 1000 / self.charges

    def node_ms(self, name: str) -> float:
        """The same of one node."""
        return self.node_seconds.get(name, 0.0) * 1000 / self.charges

    @property
    def database_ms(self) -> float:
        """The same of all nodes."""
        return sum(self.node_seconds.values()) * 1000 / self.charges

    @property
    def all_ms(self) -> float:
        return self.web_ms + self.database_ms


@dataclass
class Outcome:
    """All turns of a run."""

    ways: Sequence[Way]
    turns: list[Turn] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        return [error for turn in self.turns for error in turn.answers.errors]

    def of(self, way: str) -> list[Turn]:
        return [turn for turn in self.turns if turn.way.title == way]

    def ratios(self, way: str, figure: Callable[[Turn], float]) -> list[float]:
        """A figure of this way, divided by the one of a single server in the same round."""
        pairs = zip(self.of(way), self.of(SINGLE), strict=True)
        return [figure(here) / figure(single) for here, single in pairs]

    def median(self, way: str, figure: Callable[[Turn], float]) -> float:
        return median(figure(turn) for turn in self.of(way))


def run(
    single: Database, cluster: Database, *, rounds: int, seconds: float, on_turn: Callable[[], None]
) -> Outcome:
    """Open the wallets, measure each way in each round, and count the entries."""
    singles, users = single.open(WALLETS), cluster.open(WALLETS)
    _, *workers = cluster.nodes
    own = workers[0]
    ways = [
        Way(SINGLE, single, single.nodes, singles),
        Way(COORDINATOR, cluster, cluster.nodes[:1], users),
        Way(WORKERS, cluster, workers, users),
        Way(RIGHT_WORKER, cluster, [own], cluster.users_on(own, users)),
    ]
    outcome = Outcome(ways)
    with ExitStack() as stack:
        servers = {way.title: stack.enter_context(way.database.web_servers(way.entries)) for way in ways}
        requests = {way.title: _charges(way) for way in ways}
        warm_up = [_turn(way, servers[way.title], requests[way.title], WARM_UP_SECONDS) for way in ways]
        for database in (single, cluster):
            with database.nodes[0].session(database.name) as session:
                session.execute("VACUUM (ANALYZE) wallet_wallet, wallet_entry")
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                outcome.turns.append(_turn(way, servers[way.title], requests[way.title], seconds))
                on_turn()
        outcome.troubles = list(_troubles(warm_up + outcome.turns))
    return outcome


def _charges(way: Way) -> Iterator[bytes]:
    numbers = count(1)
    for user_id in cycle(way.user_ids):
        body = {"user_id": user_id, "feature": FEATURE, "idempotency_key": f"{way.title}:{next(numbers)}"}
        yield client.post(DEDUCT, way.database.secret, body)


def _turn(way: Way, servers: WebServers, requests: Iterator[bytes], seconds: float) -> Turn:
    with ExitStack() as stack:
        connections = [
            connection
            for address in servers.addresses
            for connection in stack.enter_context(
                client.connected(address, CONNECTIONS // len(servers.addresses))
            )
        ]
        before = _processor_seconds(way.database, servers)
        answers = client.load(connections, requests, seconds)
        after = _processor_seconds(way.database, servers)
    spent = {
        name: sum(now - before[name].get(pid, 0.0) for pid, now in by_process.items())
        for name, by_process in after.items()
    }
    return Turn(way, answers, spent.pop(WEB), spent)


def _processor_seconds(database: Database, servers: WebServers) -> dict[str, dict[int, float]]:
    """Processor time so far by process: of the web workers, and of each node by its name."""
    nodes = {node.name: node.seconds_by_process() for node in database.nodes}
    return {WEB: consumption.seconds_by_process(servers.workers), **nodes}


def _troubles(turns: Sequence[Turn]) -> Iterator[str]:
    """Where books and answers differ, a sentence each."""
    answered: Counter[str] = Counter()
    for turn in turns:
        answered[turn.way.database.title] += len(turn.answers.latencies)
    for title, database in {turn.way.database.title: turn.way.database for turn in turns}.items():
        with database.nodes[0].session(database.name) as session:
            ((entries,),) = session.execute(
                "SELECT count(*) FROM wallet_entry WHERE kind = 'deduct'"
            ).fetchall()
        if entries != answered[title]:
            yield f"{title}: {answered[title]} answers, {entries} entries"
