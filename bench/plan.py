"""What is compared, under which load, and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from misar_billing import gunicorn_conf


class Asks(Enum):
    """What the requests of a variant ask for."""

    NEW_CHARGES = auto()
    REPLAYS = auto()
    REFUSALS = auto()
    BATCHES = auto()  # New charges of one wallet.
    BATCHES_OF_WALLETS = auto()  # A new charge of each of many wallets.


BATCH = 100
# A process serves only so many batches at a time.
BATCHES_AT_ONCE = max(1, gunicorn_conf.threads // 4)


@dataclass(frozen=True)
class Variant:
    """A view, and what it is asked for."""

    name: str
    title: str
    path: str
    asks: Asks = Asks.NEW_CHARGES

    @property
    def is_batch(self) -> bool:
        return self.asks in (Asks.BATCHES, Asks.BATCHES_OF_WALLETS)

    @property
    def charges(self) -> int:
        """How many charges a request asks for. Rates and processor times are for each of them."""
        return BATCH if self.is_batch else 1

    @property
    def new_charges(self) -> int:
        """How many entries a right answer has written; 0 for a replay and a refusal."""
        return 0 if self.asks in (Asks.REPLAYS, Asks.REFUSALS) else self.charges

    def is_right(self, answer: bytes) -> bool:
        """Whether an answer with status 200 is the expected one."""
        if self.is_batch:
            return answer.count(b'"allowed":true') == BATCH
        if self.asks is Asks.REFUSALS:
            return b'"allowed":false' in answer
        is_replay = b"\r\nidempotent-replayed: true\r\n" in answer.lower()
        return b'"allowed":true' in answer and is_replay == (self.asks is Asks.REPLAYS)


DEDUCT = "/io/wallet/deduct"
OURS = Variant("ours", "our charge", DEDUCT)
SELECT_FOR_UPDATE = Variant(
    "select_for_update", "a select_for_update wallet", "/bench/select_for_update/deduct"
)
# Under the wallet's prefix, so it has whatever middleware the service gives the paths of its API.
NOOP = Variant("noop", "a no-op view, our middleware", "/io/wallet/bench/noop")
# Keeps its serializers and renders at once, as our charge does. The others are as Django projects write them.
NOOP_LEAN = Variant("noop_lean", "a no-op view made like ours", "/io/wallet/bench/noop/lean")
NOOP_UNDER_ALL = Variant("noop_under_all", "a no-op view, all middleware", "/bench/noop/deduct")
REPLAY = Variant("replay", "a replay", DEDUCT, Asks.REPLAYS)
REFUSAL = Variant("refusal", "a refusal", DEDUCT, Asks.REFUSALS)
BATCHES = Variant("batch", f"batches of {BATCH}, one wallet", f"{DEDUCT}/batch", Asks.BATCHES)
BATCHES_OF_WALLETS = Variant(
    *("batch_of_wallets", f"batches of {BATCH} wallets", f"{DEDUCT}/batch", Asks.BATCHES_OF_WALLETS)
)


@dataclass(frozen=True)
class Scenario:
    """A load. Each connection sends its next request when the previous one is answered."""

    name: str
    title: str
    connections: int
    one_wallet: bool
    variants: tuple[Variant, ...]

    def order(self, round_number: int) -> Iterator[Variant]:
        """The variants in the order of this round; each round begins with another one."""
        for place in range(len(self.variants)):
            yield self.variants[(round_number + place) % len(self.variants)]


# As many connections as the server has threads: all threads are busy and no request waits for one.
EVERY_THREAD = gunicorn_conf.workers * gunicorn_conf.threads

EVERY_VARIANT = (OURS, SELECT_FOR_UPDATE, NOOP, NOOP_LEAN, NOOP_UNDER_ALL, REPLAY, REFUSAL)
MANY = Scenario(
    *("many", f"many wallets, {EVERY_THREAD} connections", EVERY_THREAD),
    one_wallet=False,
    variants=(*EVERY_VARIANT, BATCHES, BATCHES_OF_WALLETS),
)
HOT = Scenario(
    *("hot", f"one hot wallet, {EVERY_THREAD} connections", EVERY_THREAD),
    one_wallet=True,
    variants=(OURS, SELECT_FOR_UPDATE, NOOP, BATCHES),
)
ALONE = Scenario(*("alone", "one caller, one request at a time", 1), one_wallet=False, variants=EVERY_VARIANT)
SCENARIOS = (MANY, HOT, ALONE)
# The loads under which PostgreSQL is measured alone, too.
LIMITED = (MANY, HOT)


@dataclass(frozen=True)
class History:
    """How much a creator has recorded in a year."""

    name: str
    tips: int
    subscriptions: int


FEW = History("few", tips=20, subscriptions=2)
SHORT = History("short", tips=2_000, subscriptions=200)
LONG = History("long", tips=200_000, subscriptions=20_000)


@dataclass(frozen=True)
class Plan:
    """How long to measure. Each variant runs for `seconds` in each round of each scenario."""

    rounds: int
    seconds: float
    wallets: int
    # How often each read is timed, and how long the long history is.
    reads: int
    long_history: History
    # How many entries the long ledger of the back-office has.
    long_ledger: int

    @property
    def warm_up_seconds(self) -> float:
        return min(1.0, self.seconds)


# In nine rounds each of nine variants is first once.
FULL = Plan(rounds=9, seconds=1.5, wallets=1000, reads=25, long_history=LONG, long_ledger=1_000_000)
QUICK = Plan(
    rounds=3,
    seconds=0.3,
    wallets=100,
    reads=3,
    long_history=replace(LONG, tips=4_000),
    long_ledger=5_000,
)
