"""The turns: every contestant is measured once in each round, so noise on the machine affects all of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count, cycle

import psycopg

from bench import client, surroundings
from bench.against import plan
from bench.against.checkouts import Checkout, WebServer
from bench.against.plan import Contestant, Turns
from bench.client import Answers
from bench.plan import EVERY_THREAD
from foundation.errors import BillingError

DEDUCT = "/io/wallet/deduct"


class NoProcessorTime(BillingError):
    """Raised when the processor time of the web workers or of PostgreSQL cannot be read."""


@dataclass(frozen=True)
class Turn:
    """One contestant in one round: the answers, and the processor time of web workers and PostgreSQL."""

    contestant: Contestant
    answers: Answers
    web_seconds: float
    database_seconds: float

    @property
    def web_ms(self) -> float:
        """Milliseconds of processor time of the web workers for each allowed charge."""
        return self.web_seconds * 1000 / max(len(self.answers.latencies), 1)

    @property
    def database_ms(self) -> float:
        """The same of PostgreSQL."""
        return self.database_seconds * 1000 / max(len(self.answers.latencies), 1)

    @property
    def both_ms(self) -> float:
        return self.web_ms + self.database_ms


@dataclass
class Outcome:
    """Everything that a run has measured."""

    turns: list[Turn] = field(default_factory=list)
    # Not in the figures, but its errors count.
    warm_up: list[Turn] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def of(self, contestant: Contestant) -> list[Turn]:
        """The turns of one contestant, by round."""
        return [turn for turn in self.turns if turn.contestant == contestant]

    @property
    def errors(self) -> list[str]:
        return [error for turn in self.warm_up + self.turns for error in turn.answers.errors]


def run(checkouts: Mapping[str, Checkout], turns: Turns, on_turn: Callable[[], None]) -> Outcome:
    """Open the wallets, measure as planned, then check the books of both checkouts."""
    outcome = Outcome()
    charges = _charges(checkouts, turns.wallets)
    for rounds in turns.starts:
        with ExitStack() as stack:
            servers = {name: stack.enter_context(each.web_server()) for name, each in checkouts.items()}
            turn = partial(_turn, servers, charges)
            for contestant in plan.CONTESTANTS:
                # Every thread opens its connection to the database now.
                outcome.warm_up.append(turn(contestant, EVERY_THREAD, turns.warm_up_seconds))
            for checkout in checkouts.values():
                _vacuum(checkout)
            for number in rounds:
                for contestant in plan.order(number):
                    outcome.turns.append(turn(contestant, 1, turns.seconds))
                    on_turn()
    outcome.troubles = list(_troubles(checkouts, outcome))
    return outcome


def _charges(checkouts: Mapping[str, Checkout], wallets: int) -> dict[str, Iterator[bytes]]:
    """Open the wallets. Return an endless series of charges for each contestant, ready to send."""
    keys = count(1)  # Each charge has a new one, so none is a replay.

    def for_all_in_turn(user_ids: list[str], secret: str) -> Iterator[bytes]:
        for user_id in cycle(user_ids):
            body = {"user_id": user_id, "feature": plan.FEATURE, "idempotency_key": f"bench:{next(keys)}"}
            yield client.post(DEDUCT, secret, body)

    def opened(name: str) -> str:
        kinds = {each.wallets for each in plan.CONTESTANTS if each.checkout == name}
        return checkouts[name].open(kinds, wallets)

    with ThreadPoolExecutor() as both_at_a_time:
        secrets = dict(zip(checkouts, both_at_a_time.map(opened, checkouts), strict=True))
    return {
        each.name: for_all_in_turn(each.wallets.user_ids(wallets), secrets[each.checkout])
        for each in plan.CONTESTANTS
    }


def _turn(
    servers: Mapping[str, WebServer],
    charges: Mapping[str, Iterator[bytes]],
    contestant: Contestant,
    connections: int,
    seconds: float,
) -> Turn:
    server = servers[contestant.checkout]
    # Which worker gets a connection is chance. New connections in each turn keep that from adding up.
    with client.connected(server.address, connections) as connected:
        before = server.processor_seconds()
        answers = client.load(connected, charges[contestant.name], seconds)
        after = server.processor_seconds()
    web, database = (
        sum(now - earlier.get(pid, 0.0) for pid, now in later.items())
        for earlier, later in zip(before, after, strict=True)
    )
    if not (web and database):
        raise NoProcessorTime(
            "The processor time of web workers and PostgreSQL can be read only on Linux, and only if "
            "PostgreSQL runs on this machine."
        )
    return Turn(contestant, answers, web, database)


def _vacuum(checkout: Checkout) -> None:
    """Let the planner know the tables. Otherwise it would learn them at the first autovacuum."""
    with psycopg.connect(**surroundings.target_of(checkout.database), autocommit=True) as db:
        db.execute("VACUUM (ANALYZE)")


def _troubles(checkouts: Mapping[str, Checkout], outcome: Outcome) -> Iterator[str]:
    """Where books and answers differ, a sentence each."""
    allowed: Counter[str] = Counter()
    for turn in outcome.warm_up + outcome.turns:
        allowed[turn.contestant.checkout] += len(turn.answers.latencies)
    with ThreadPoolExecutor() as both_at_a_time:
        for violations in both_at_a_time.map(Checkout.violations, checkouts.values()):
            yield from violations
    for name, checkout in checkouts.items():
        with psycopg.connect(**surroundings.target_of(checkout.database)) as db:
            ((entries,),) = db.execute("SELECT count(*) FROM wallet_entry WHERE kind = 'deduct'").fetchall()
        if entries != allowed[name]:
            yield f"{checkout.title}: {allowed[name]} answers, {entries} entries"
