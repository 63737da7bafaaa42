"""What is compared: a table with a line for each kind of wallet. To compare another kind, add a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

# The two checkouts.
BEFORE, HERE = "before", "here"
# A charge must cost no more than the same charge before: at least this ratio.
RATIO_MIN = 0.95
# A feature that both checkouts have a rate for.
FEATURE = "mail.send"
# With fewer rounds there is no verdict.
ROUNDS_FOR_A_VERDICT = 20


@dataclass(frozen=True)
class Wallets:
    """Wallets that are alike. Their user ids contain `name`."""

    name: str
    open_holds: int = 0
    grants: int = 0
    budgets: int = 0

    def user_ids(self, count: int) -> list[str]:
        """The users of so many wallets of this kind."""
        return [f"bench_{self.name}_{number:03}" for number in range(count)]


KINDS = {
    "plain": Wallets("plain"),
    "200 open holds": Wallets("holds", open_holds=200),
    "a grant": Wallets("grant", grants=1),
    "two budgets": Wallets("budgets", budgets=2),
}


@dataclass(frozen=True)
class Contestant:
    """A charge of one kind of wallet in one checkout. `base` names the contestant it is compared with."""

    name: str
    title: str
    checkout: str
    wallets: Wallets
    base: str = ""


def _both(title: str, wallets: Wallets) -> Iterator[Contestant]:
    before = Contestant(f"{wallets.name} before", f"{title}, before", BEFORE, wallets)
    yield before
    yield Contestant(f"{wallets.name} now", f"{title}, now", HERE, wallets, base=before.name)


CONTESTANTS = tuple(each for title, wallets in KINDS.items() for each in _both(title, wallets))


@dataclass(frozen=True)
class Turns:
    """How long to measure: in each round every contestant has one turn of `seconds`.

    Turns are short, so that the two turns of a pair see the same machine. `rounds_a_start` is after how many
    rounds the web servers are started again: where a process has its data in memory makes it a little faster
    or slower than the next one, for as long as it lives.
    """

    rounds: int
    seconds: float
    wallets: int
    warm_up_seconds: float
    rounds_a_start: int = 30

    @property
    def starts(self) -> Iterator[range]:
        """The rounds of each start of the web servers."""
        for first in range(0, self.rounds, self.rounds_a_start):
            yield range(first, min(first + self.rounds_a_start, self.rounds))


FULL = Turns(rounds=120, seconds=0.25, wallets=10, warm_up_seconds=1.5)
QUICK = Turns(rounds=4, seconds=0.1, wallets=1, warm_up_seconds=0.2)


def order(round_number: int) -> list[Contestant]:
    """The contestants in an order of chance, which is the same in each run."""
    return Random(round_number).sample(CONTESTANTS, len(CONTESTANTS))  # noqa: S311 (no secret)
