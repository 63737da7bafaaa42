"""What one wallet should be and answer, in plain Python. Each hold ends here exactly at its second.

A verb returns what the real verb should return, as a tuple: its name and the figures of its answer, or the
name of the error and the error's figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

LASTS_MAX = timedelta(days=7)
CHARGES = ("deduct", "capture")


@dataclass(frozen=True)
class Row:
    """An entry of the history."""

    kind: str
    credits: int
    balance_after: int
    at: datetime
    product: str = ""


@dataclass
class HoldRow:
    """A hold, as it is at the model's time."""

    number: int
    product: str
    feature: str
    count: int
    price: int  # Of one unit, when the hold was made.
    made_at: datetime
    expires_at: datetime
    answer: tuple[Any, ...] = ()
    state: str = "open"
    ended_at: datetime | None = None
    captured_count: int | None = None
    place: int | None = None  # Of its entry in the history.

    @property
    def credits(self) -> int:
        return self.price * self.count

    @property
    def facts(self) -> tuple[Any, ...]:
        captured = None if self.captured_count is None else self.captured_count * self.price
        return self.number, self.state, self.captured_count, captured, self.expires_at, self.ended_at


@dataclass
class EagerModel:
    now: datetime
    prices: dict[str, int | None]  # None: withdrawn.
    open_max: int
    open_of_product_max: int
    frozen: bool = False
    history: list[Row] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)  # Place of a charge: credits left to give back.
    first: dict[tuple[str, str, str], Any] = field(default_factory=dict)  # What a key was used for.

    @property
    def balance(self) -> int:
        return self.history[-1].balance_after if self.history else 0

    @property
    def open_holds(self) -> list[HoldRow]:
        return [hold for hold in self.holds if hold.state == "open"]

    @property
    def held(self) -> int:
        return sum(hold.credits for hold in self.open_holds)

    @property
    def available(self) -> int:
        return self.balance - self.held

    def pass_time(self, now: datetime) -> None:
        self.now = now
        for hold in self.open_holds:
            if hold.expires_at <= now:
                hold.state, hold.ended_at = "expired", hold.expires_at

    def ends(self) -> Iterator[datetime]:
        return (hold.expires_at for hold in self.open_holds)

    # --- Charges ---

    def deduct(self, product: str, feature: str, count: int, key: str) -> tuple[Any, ...]:
        if first := self.first.get(("deduct", product, key)):
            asked, place, answer = first
            if asked != (feature, count):
                return ("KeyReused",)
            return ("charge", True, *answer) if self.left[place] else ("ChargeGivenBack",)
        if refusal := self.refusal(feature, count):
            return refusal
        credits, before = self.prices[feature] * count, self.available  # type: ignore[operator]
        place = self.move("deduct", -credits, product)
        answer = (before, before - credits, credits)
        if key:
            self.first["deduct", product, key] = (feature, count), place, answer
        return "charge", False, *answer

    def quote(self, feature: str, count: int) -> tuple[Any, ...]:
        if refusal := self.refusal(feature, count):
            return refusal
        credits = self.prices[feature] * count  # type: ignore[operator]
        return "quote", self.available, self.available - credits, credits

    def refusal(self, feature: str, count: int) -> tuple[Any, ...] | None:
        price = self.prices[feature]
        if price is None:
            return ("UnknownFeature",)
        if self.frozen:
            return "WalletFrozen", min(self.available, 0), price * count
        if price * count > self.available:
            return "InsufficientCredits", self.available, price * count
        return None

    def move(self, kind: str, credits: int, product: str = "") -> int:
        """Write an entry; its place."""
        if kind in CHARGES:
            self.left[len(self.history)] = -credits
        self.history.append(Row(kind, credits, self.balance + credits, self.now, product))
        return len(self.history) - 1

    # --- Holds ---

    def authorize(
        self, product: str, feature: str, count: int, ttl_seconds: int, key: str
    ) -> tuple[Any, ...]:
        if first := self.first.get(("hold", product, key)):
            if (first.feature, first.count) != (feature, count):
                return ("KeyReused",)
            if first.state in ("voided", "expired") or (
                first.place is not None and not self.left[first.place]
            ):
                return ("KeyEnded",)
            return "hold made", True, *first.answer
        if refusal := self.refusal(feature, count):
            return refusal
        of_product = [hold for hold in self.open_holds if hold.product == product]
        if len(of_product) >= self.open_of_product_max or len(self.open_holds) >= self.open_max:
            return ("TooManyHolds",)
        price, before = self.prices[feature], self.available
        assert price is not None
        end = self.now + timedelta(seconds=ttl_seconds)
        hold = HoldRow(len(self.holds), product, feature, count, price, self.now, end)
        hold.answer = (hold.number, before, before - hold.credits, hold.credits, end)
        self.holds.append(hold)
        self.first["hold", product, key] = hold
        return "hold made", False, *hold.answer

    def capture(self, product: str, number: int, count: int | None) -> tuple[Any, ...]:
        hold = self.hold_of(product, number)
        if hold is None:
            return ("NotFound",)
        count = hold.count if count is None else count
        if count > hold.count:
            return ("MoreThanHeld",)
        if hold.captured_count == count:
            return "hold", True, *hold.facts
        if hold.state != "open":
            return (f"Hold{hold.state.capitalize()}",)
        hold.state, hold.ended_at, hold.captured_count = "captured", self.now, count
        hold.place = self.move("capture", -count * hold.price, product)
        return "hold", False, *hold.facts

    def void(self, product: str | None, number: int) -> tuple[Any, ...]:
        hold = self.hold_of(product, number)
        if hold is None:
            return ("NotFound",)
        if hold.state == "captured":
            return ("HoldCaptured",)
        if hold.state != "open":
            # Time ended an expired hold, so this void is no repetition of an earlier one.
            return "hold", hold.state == "voided", *hold.facts
        hold.state, hold.ended_at = "voided", self.now
        return "hold", False, *hold.facts

    def extend(self, product: str, number: int, ttl_seconds: int) -> tuple[Any, ...]:
        hold = self.hold_of(product, number)
        if hold is None:
            return ("NotFound",)
        if hold.state != "open":
            return (f"Hold{hold.state.capitalize()}",)
        end = self.now + timedelta(seconds=ttl_seconds)
        if end > hold.made_at + LASTS_MAX:
            return ("HoldTooOld",)
        hold.expires_at = max(hold.expires_at, end)
        return "hold", False, *hold.facts

    def hold_of(self, product: str | None, number: int) -> HoldRow | None:
        if number >= len(self.holds) or product not in (None, self.holds[number].product):
            return None
        return self.holds[number]

    # --- Refunds and corrections ---

    def refund(self, product: str, place: int | None, credits: int | None, key: str) -> tuple[Any, ...]:
        """Give back credits of the entry at a place; None: the request named no entry of this product."""
        if place is not None and (self.history[place].product != product or place not in self.left):
            place = None
        if first := self.first.get(("refund", product, key)):
            asked, answer = first
            return ("refund", True, *answer) if asked == (place, credits) else ("KeyReused",)
        if place is None:
            return ("NotFound",)
        left = self.left[place]
        given = left if credits is None else credits
        if not 0 < given <= left:
            return "NothingToGiveBack", left
        self.left[place] -= given
        of = self.move("refund", given, product)
        answer = (of, given, left - given, 0, self.available)
        self.first["refund", product, key] = (place, credits), answer
        return "refund", False, *answer

    def adjust(self, credits: int, key: str) -> tuple[Any, ...]:
        if first := self.first.get(("adjustment", "", key)):
            return ("adjustment", first[1]) if first[0] == credits else ("KeyReused",)
        if credits < 0 and -credits > self.available:
            return "InsufficientCredits", self.available, -credits
        place = self.move("adjustment", credits)
        self.first["adjustment", "", key] = credits, place
        return "adjustment", place

    # --- Payments ---

    def payment_comes_to(self, product: str, had: int, has: int) -> None:
        """What a user has from a payment changes, because Stripe reported a refund or a dispute."""
        if had != has:
            self.move("clawback" if has < had else "reinstatement", has - had, product)
