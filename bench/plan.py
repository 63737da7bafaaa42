"""What is compared, under which load, for how long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from misar_billing import gunicorn_conf


@dataclass(frozen=True)
class Variant:
    """A view that answers the same request."""

    name: str
    title: str
    path: str


OURS = Variant("ours", "our charge", "/io/wallet/deduct")
USUAL = Variant("usual", "the usual wallet", "/bench/usual/deduct")
NOTHING = Variant("nothing", "a no-op view", "/bench/nothing/deduct")
VARIANTS = (OURS, USUAL, NOTHING)


@dataclass(frozen=True)
class Scenario:
    """A load. Each connection sends its next request when it has the answer to the one before."""

    name: str
    title: str
    connections: int
    one_wallet: bool


# As many connections as the server has threads: all of them busy, nobody waiting for one.
EVERY_THREAD = gunicorn_conf.workers * gunicorn_conf.threads

SCENARIOS = (
    Scenario("many", f"many wallets, {EVERY_THREAD} connections", EVERY_THREAD, one_wallet=False),
    Scenario("hot", f"one hot wallet, {EVERY_THREAD} connections", EVERY_THREAD, one_wallet=True),
    Scenario("alone", "one caller, one request at a time", 1, one_wallet=False),
)


@dataclass(frozen=True)
class History:
    """How much a creator has recorded over a year."""

    name: str
    tips: int
    subscriptions: int


FEW = History("few", tips=20, subscriptions=2)
SHORT = History("short", tips=2_000, subscriptions=200)
LONG = History("long", tips=200_000, subscriptions=20_000)


@dataclass(frozen=True)
class Plan:
    """How long to measure. A variant is loaded for `seconds` in each round of each scenario."""

    rounds: int
    seconds: float
    wallets: int
    # How often each read of a creator is timed, and how long the long history is.
    reads: int
    long_history: History
    # How many entries the long ledger has that the back-office looks at.
    long_ledger: int

    @property
    def warm_up_seconds(self) -> float:
        return min(1.0, self.seconds)


# Six rounds of three variants: each comes first, second and last twice.
FULL = Plan(rounds=6, seconds=2.2, wallets=1000, reads=25, long_history=LONG, long_ledger=1_000_000)
QUICK = Plan(
    rounds=3,
    seconds=0.3,
    wallets=100,
    reads=3,
    long_history=replace(LONG, tips=4_000),
    long_ledger=5_000,
)


def order(round_number: int) -> Iterator[Variant]:
    """The variants in the order of a round, each round beginning with the next one."""
    for place in range(len(VARIANTS)):
        yield VARIANTS[(round_number + place) % len(VARIANTS)]
