"""What callers were told, by fault: each unit of work, and how each request was answered."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class Kind(Enum):
    """What a unit of work is in the books."""

    DEDUCT = auto()
    CAPTURE = auto()
    TOPUP = auto()


class Outcome(Enum):
    """What the caller knows of a unit of work. OPEN: nothing, so the books may have it or not."""

    OPEN = auto()
    ACKNOWLEDGED = auto()
    DENIED = auto()


@dataclass
class Unit:
    """One unit of work, which must be charged (or credited) exactly once if it is acknowledged.

    `key` is its idempotency key, the key of its hold, or its Checkout Session.
    """

    kind: Kind
    key: str
    user_id: str
    credits: int
    window: "Window"
    outcome: Outcome = Outcome.OPEN


@dataclass(frozen=True)
class Storm:
    """Charges a second with every thread busy (the best), and under many times that load, with its p99."""

    best: float
    under_load: float
    p99: float

    @property
    def ratio(self) -> float:
        return self.under_load / self.best if self.best else 0.0


@dataclass
class Window:
    """What happened from the beginning of one fault until the next one."""

    fault: str
    round_number: int
    skipped: str = ""
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    answered: list[float] = field(default_factory=list)  # The seconds of each answer 200.
    refused: list[float] = field(default_factory=list)  # The seconds of each 503 of the service,
    refused_by_proxy: list[float] = field(default_factory=list)  # and of the proxy.
    slowest: dict[str, float] = field(default_factory=dict)  # By the callers' title, in seconds.
    cut_off: int = 0
    unreachable: int = 0
    given_up: int = 0
    unexpected: Counter[str] = field(default_factory=Counter)
    resumed_after: float | None = None
    did_not_resume: list[str] = field(default_factory=list)
    storm: Storm | None = None

    @property
    def refusals(self) -> list[float]:
        return [*self.refused, *self.refused_by_proxy]

    @property
    def longest(self) -> float:
        """The longest wait for an answer of any kind, in seconds."""
        return max(self.slowest.values(), default=0.0)


@dataclass
class Tally:
    """All windows and units of a run. Only the thread of the load adds to it."""

    windows: list[Window] = field(default_factory=lambda: [Window("start", 0)])
    units: list[Unit] = field(default_factory=list)

    @property
    def window(self) -> Window:
        """The window of this moment."""
        return self.windows[-1]

    def begin(self, kind: Kind, key: str, user_id: str, credits: int) -> Unit:
        unit = Unit(kind, key, user_id, credits, self.window)
        self.units.append(unit)
        return unit

    def acknowledge(self, unit: Unit) -> None:
        unit.outcome, unit.window = Outcome.ACKNOWLEDGED, self.window
        self.window.acknowledged += 1


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of all values do not exceed; 0 if there are none."""
    ascending = sorted(values)
    return ascending[math.ceil(len(ascending) * percent / 100) - 1] if ascending else 0.0
