"""The credits of grants, in plain Python: lots that end exactly at their second, and who takes from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Credits of lots, by the lot's number. A dict keeps the order in which the lots were used.
Parts = dict[int, int]


@dataclass
class LotRow:
    """A lot, as it is at the model's time."""

    number: int
    product: str
    actor: str
    credits: int
    reason: str
    made_at: datetime
    expires_at: datetime
    id: str = ""  # The service makes it up. The machine tells it to the model.
    remaining: int = 0  # Not spent, including what is held.
    held: int = 0
    expired: int = 0  # Credits that ended unspent.
    voided_at: datetime | None = None
    removed: int = 0  # By the void.
    held_when_voided: int = 0

    @property
    def free(self) -> int:
        return self.remaining - self.held

    @property
    def ends_at(self) -> datetime:
        return self.expires_at if self.voided_at is None else min(self.expires_at, self.voided_at)

    @property
    def order(self) -> tuple[datetime, str]:
        """The place in the order in which lots are spent."""
        return self.expires_at, self.id

    @property
    def answer(self) -> tuple[Any, ...]:
        """What the answer to the grant says, also later."""
        return self.number, self.product, self.credits, self.reason, self.made_at, self.expires_at

    def facts(self, now: datetime) -> tuple[Any, ...]:
        return self.number, self.state(now), self.remaining, self.held, self.expired

    def state(self, now: datetime) -> str:
        if self.voided_at is not None:
            return "voided"
        if self.expires_at <= now:
            return "expired" if self.remaining or self.expired else "used"
        return "active" if self.remaining else "used"


@dataclass
class EagerLots:
    rows: list[LotRow] = field(default_factory=list)

    @property
    def granted(self) -> int:
        return sum(lot.remaining for lot in self.rows)

    @property
    def expired(self) -> int:
        return sum(lot.expired for lot in self.rows)

    @property
    def free(self) -> int:
        return sum(lot.free for lot in self.rows)

    def with_credits_left(self) -> list[LotRow]:
        """The lots that have something left, in the order in which they are spent."""
        return sorted((lot for lot in self.rows if lot.remaining), key=lambda lot: lot.order)

    def in_order(self, numbers: Iterable[int]) -> list[LotRow]:
        return sorted((self.rows[number] for number in numbers), key=lambda lot: lot.order)

    def end_what_is_due(self, now: datetime) -> None:
        """End the free part of each lot that has reached its end."""
        for lot in self.rows:
            if lot.ends_at <= now:
                lot.expired += lot.free
                lot.remaining = lot.held

    def choose(self, credits: int) -> Parts:
        """Which free parts would pay so many credits. Paid credits pay what the lots cannot."""
        return shared_out(credits, {lot.number: lot.free for lot in self.with_credits_left()})

    def move(self, parts: Parts, *, remaining: int = 0, held: int = 0) -> None:
        """Change these lots, each by its part: 1 adds the part, -1 takes it."""
        for number, credits in parts.items():
            self.rows[number].remaining += remaining * credits
            self.rows[number].held += held * credits


def shared_out(credits: int, at_most: Parts) -> Parts:
    """So many credits from these parts, in their order. It is less if the parts are too small."""
    parts: Parts = {}
    for number, limit in at_most.items():
        if part := min(credits, limit):
            parts[number] = part
            credits -= part
    return parts
