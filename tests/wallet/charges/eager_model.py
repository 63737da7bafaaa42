"""What one wallet should be and answer, in plain Python. Holds and lots end here exactly at their second.

A verb returns what the real verb should return, as a tuple: its name and the figures of its answer, or the
name of the error and the error's figures.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.wallet.charges.eager_budgets import BudgetNow, BudgetRow, Spent, limited_by
from tests.wallet.charges.eager_lots import EagerLots, LotRow, Parts, shared_out

HOLD_LASTS_MAX = timedelta(days=7)
GRANT_LASTS_MIN, GRANT_LASTS_MAX = timedelta(minutes=1), timedelta(days=5 * 365)
CHARGES = ("deduct", "capture")


@dataclass(frozen=True)
class Limits:
    """How many a wallet may have, and a product in a wallet."""

    open_holds: int
    open_holds_of_product: int
    lots: int
    lots_of_product: int
    budgets: int


@dataclass(frozen=True)
class Figures:
    """What a wallet has at a moment. `lots` are those with credits left, in spendable order."""

    balance: int
    held: int
    granted: int
    lots: tuple[tuple[Any, ...], ...] = ()


@dataclass
class Row:
    """An entry of the history, unless it is an expiry: lots know what has ended."""

    kind: str
    credits: int
    at: datetime
    product: str
    moves: Parts  # What it added to each lot; negative if it took.
    asked_at: datetime
    # Of a charge: credits that can still be given back, in all and to each lot.
    left: int = 0
    left_of_lots: Parts = field(default_factory=dict)

    @property
    def facts(self) -> tuple[Any, ...]:
        return self.kind, self.credits, self.at, self.product, self.moves


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
    parts: Parts  # What it has set aside of lots. The rest is paid credits.
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
    limits: Limits
    frozen: bool = False
    history: list[Row] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    lots: EagerLots = field(default_factory=EagerLots)
    budgets: dict[tuple[str, str, str], BudgetRow] = field(default_factory=dict)
    first: dict[tuple[str, str, str], Any] = field(default_factory=dict)  # What a key was used for.
    moments: list[datetime] = field(default_factory=list)  # When something may have changed, in order.
    figures: list[Figures] = field(default_factory=list)  # After the last change at each moment.

    @property
    def balance(self) -> int:
        return sum(row.credits for row in self.history) - self.lots.expired

    @property
    def open_holds(self) -> list[HoldRow]:
        return [hold for hold in self.holds if hold.state == "open"]

    @property
    def held(self) -> int:
        return sum(hold.credits for hold in self.open_holds)

    @property
    def available(self) -> int:
        return self.balance - self.held

    @property
    def charges(self) -> list[int]:
        """The places of the charges in the history."""
        return [place for place, row in enumerate(self.history) if row.kind in CHARGES]

    # --- Time ---

    def pass_time(self, now: datetime) -> None:
        while ends := [end for end in self.ends() if end <= now]:
            self.now = min(ends)
            self.end_what_is_due()
            self.remember()
        self.now = now

    def ends(self) -> Iterator[datetime]:
        yield from self.ends_of_holds()
        yield from self.ends_of_lots()

    def ends_of_holds(self) -> Iterator[datetime]:
        return (hold.expires_at for hold in self.open_holds)

    @property
    def lots_to_end(self) -> list[datetime]:
        return list(self.ends_of_lots())

    def ends_of_lots(self) -> Iterator[datetime]:
        return (lot.ends_at for lot in self.lots.rows if lot.ends_at > self.now)

    def end_what_is_due(self) -> None:
        for hold in self.open_holds:
            if hold.expires_at <= self.now:
                self.end(hold, "expired", hold.expires_at)
        self.lots.end_what_is_due(self.now)

    def remember(self) -> None:
        """Note what the wallet has now. The last note of a moment counts."""
        if not self.moments or self.moments[-1] < self.now:
            self.moments.append(self.now)
            self.figures.append(self.figures_now())
        else:
            self.figures[-1] = self.figures_now()

    def figures_now(self) -> Figures:
        lots = self.lots.with_credits_left()
        shown = tuple((lot.id, lot.product, lot.remaining, lot.held, lot.expires_at) for lot in lots)
        return Figures(self.balance, self.held, self.lots.granted, shown)

    def figures_at(self, at: datetime) -> Figures:
        """What the wallet had at a moment that has passed."""
        number = bisect_right(self.moments, at)
        return self.figures[number - 1] if number else Figures(0, 0, 0)

    # --- Charges ---

    def deduct(self, product: str, feature: str, count: int, key: str) -> tuple[Any, ...]:
        if first := self.first.get(("deduct", product, key)):
            asked, place, answer = first
            if asked != (feature, count):
                return ("KeyReused",)
            return ("charge", True, *answer) if self.history[place].left else ("ChargeGivenBack",)
        if refusal := self.refusal(product, feature, count):
            return refusal
        credits, before = self.prices[feature] * count, self.available  # type: ignore[operator]
        place = self.charge("deduct", credits, product, self.lots.choose(credits))
        answer = (before, before - credits, credits)
        if key:
            self.first["deduct", product, key] = (feature, count), place, answer
        return "charge", False, *answer

    def quote(self, product: str, feature: str, count: int) -> tuple[Any, ...]:
        if refusal := self.refusal(product, feature, count):
            return refusal
        credits = self.prices[feature] * count  # type: ignore[operator]
        return "quote", self.available, self.available - credits, credits

    def refusal(self, product: str, feature: str, count: int) -> tuple[Any, ...] | None:
        price = self.prices[feature]
        if price is None:
            return ("UnknownFeature",)
        required, available = price * count, self.available
        if self.frozen:
            return "WalletFrozen", min(available, 0), required, {"limit": "frozen"}
        budgets = self.budgets_of(product)
        left = min((budget.left for budget in budgets), default=available)
        if left < min(available, required):
            return "BudgetSpent", left, required, limited_by(budgets)
        if available < required:
            return "InsufficientCredits", available, required, None
        return None

    def charge(
        self, kind: str, credits: int, product: str, parts: Parts, asked_at: datetime | None = None
    ) -> int:
        """Take credits: these parts from lots, the rest from paid credits. Return the entry's place."""
        place = self.move(kind, -credits, product, {number: -part for number, part in parts.items()})
        row = self.history[place]
        row.left, row.left_of_lots, row.asked_at = credits, dict(parts), asked_at or self.now
        return place

    def move(self, kind: str, credits: int, product: str = "", moves: Parts | None = None) -> int:
        """Write an entry and change the lots by these parts. Return the entry's place."""
        moves = moves or {}
        self.lots.move(moves, remaining=1)
        self.history.append(Row(kind, credits, self.now, product, moves, self.now))
        self.end_what_is_due()
        return len(self.history) - 1

    # --- Holds ---

    def authorize(
        self, product: str, feature: str, count: int, ttl_seconds: int, key: str
    ) -> tuple[Any, ...]:
        if first := self.first.get(("hold", product, key)):
            if (first.feature, first.count) != (feature, count):
                return ("KeyReused",)
            if first.state in ("voided", "expired") or (
                first.place is not None and not self.history[first.place].left
            ):
                return ("KeyEnded",)
            return "hold made", True, *first.answer
        if refusal := self.refusal(product, feature, count):
            return refusal
        of_product = [hold for hold in self.open_holds if hold.product == product]
        limits = self.limits
        if len(of_product) >= limits.open_holds_of_product or len(self.open_holds) >= limits.open_holds:
            return ("TooManyHolds",)
        price, before = self.prices[feature], self.available
        assert price is not None
        end, parts = self.now + timedelta(seconds=ttl_seconds), self.lots.choose(price * count)
        hold = HoldRow(len(self.holds), product, feature, count, price, self.now, end, parts)
        hold.answer = (hold.number, before, before - hold.credits, hold.credits, end)
        self.lots.move(parts, held=1)
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
        self.end(hold, "captured", self.now)
        hold.captured_count, credits = count, count * hold.price
        in_order = {lot.number: hold.parts[lot.number] for lot in self.lots.in_order(hold.parts)}
        parts = shared_out(credits, in_order)
        hold.place = self.charge("capture", credits, product, parts, hold.made_at)
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
        self.end(hold, "voided", self.now)
        self.end_what_is_due()
        return "hold", False, *hold.facts

    def extend(self, product: str, number: int, ttl_seconds: int) -> tuple[Any, ...]:
        hold = self.hold_of(product, number)
        if hold is None:
            return ("NotFound",)
        if hold.state != "open":
            return (f"Hold{hold.state.capitalize()}",)
        end = self.now + timedelta(seconds=ttl_seconds)
        if end > hold.made_at + HOLD_LASTS_MAX:
            return ("HoldTooOld",)
        hold.expires_at = max(hold.expires_at, end)
        return "hold", False, *hold.facts

    def end(self, hold: HoldRow, state: str, at: datetime) -> None:
        """End a hold and give its parts back to their lots. A lot that has ended loses them next."""
        hold.state, hold.ended_at = state, at
        self.lots.move(hold.parts, held=-1)

    def hold_of(self, product: str | None, number: int) -> HoldRow | None:
        if number >= len(self.holds) or product not in (None, self.holds[number].product):
            return None
        return self.holds[number]

    # --- Refunds and corrections ---

    def refund(self, product: str, place: int | None, credits: int | None, key: str) -> tuple[Any, ...]:
        """Give back credits of the entry at a place; None: the request named no entry of this product."""
        charge = None if place is None else self.history[place]
        if charge and (charge.product != product or charge.kind not in CHARGES):
            charge = place = None
        if first := self.first.get(("refund", product, key)):
            asked, answer = first
            return ("refund", True, *answer) if asked == (place, credits) else ("KeyReused",)
        if charge is None:
            return ("NotFound",)
        given = charge.left if credits is None else credits
        if not 0 < given <= charge.left:
            return "NothingToGiveBack", charge.left
        # First to paid credits, then to the lots: the lot that was used last gets its part first.
        to_paid = min(given, charge.left - sum(charge.left_of_lots.values()))
        last_first = reversed(self.lots.in_order(charge.left_of_lots))
        parts = shared_out(
            given - to_paid, {lot.number: charge.left_of_lots[lot.number] for lot in last_first}
        )
        charge.left -= given
        for number, part in parts.items():
            charge.left_of_lots[number] -= part
        lapsed = sum(part for number, part in parts.items() if self.lots.rows[number].ends_at <= self.now)
        of = self.move("refund", given, product, parts)
        answer = (of, given, charge.left, lapsed, sum(parts.values()), self.available)
        self.first["refund", product, key] = (place, credits), answer
        return "refund", False, *answer

    def adjust(self, credits: int, key: str) -> tuple[Any, ...]:
        if first := self.first.get(("adjustment", "", key)):
            return ("adjustment", first[1]) if first[0] == credits else ("KeyReused",)
        if credits < 0 and -credits > self.available:
            return "InsufficientCredits", self.available, -credits, None
        parts: Parts = {}
        if credits < 0:
            free_of_paid = max(0, self.available - self.lots.free)
            parts = self.lots.choose(max(0, -credits - free_of_paid))
        place = self.move("adjustment", credits, moves={number: -part for number, part in parts.items()})
        self.first["adjustment", "", key] = credits, place
        return "adjustment", place

    # --- Payments ---

    def payment_comes_to(self, product: str, had: int, has: int) -> None:
        """What a user has from a payment changes, because Stripe reported a refund or a dispute."""
        if had != has:
            self.move("clawback" if has < had else "reinstatement", has - had, product)

    # --- Grants ---

    def grant(
        self, product: str, credits: int, expires_at: datetime, reason: str, key: str, actor: str
    ) -> tuple[Any, ...]:
        if lot := self.first.get(("grant", product, key)):
            # Staff share the product "", so a key belongs to one staff member.
            is_of_another = product == "" and lot.actor != actor
            if (lot.credits, lot.expires_at) != (credits, expires_at) or is_of_another:
                return ("KeyReused",)
            return ("GrantVoided",) if lot.voided_at else ("grant made", True, *lot.answer)
        if not GRANT_LASTS_MIN <= expires_at - self.now <= GRANT_LASTS_MAX:
            return ("GrantEndOutOfRange",)
        left = self.lots.with_credits_left()
        of_product = [lot for lot in left if lot.product == product != ""]  # Staff grant without a product.
        if len(of_product) >= self.limits.lots_of_product or len(left) >= self.limits.lots:
            return ("TooManyGrants",)
        lot = LotRow(len(self.lots.rows), product, actor, credits, reason, self.now, expires_at)
        self.lots.rows.append(lot)
        self.move("grant", credits, product, {lot.number: credits})
        self.first["grant", product, key] = lot
        return "grant made", False, *lot.answer

    def void_grant(self, product: str | None, number: int) -> tuple[Any, ...]:
        lot = self.lots.rows[number]
        if product not in (None, lot.product):
            return ("NotFound",)
        if lot.voided_at is not None:
            return "grant voided", True, "voided", lot.removed, lot.held_when_voided
        if lot.expires_at <= self.now:
            return "grant voided", False, lot.state(self.now), 0, lot.held
        lot.voided_at, lot.removed, lot.held_when_voided = self.now, lot.free, lot.held
        self.end_what_is_due()
        return "grant voided", False, "voided", lot.removed, lot.held

    # --- Budgets ---

    def spendings(self) -> Iterator[Spent]:
        """What budgets count: what is left of each charge, and what open holds hold."""
        for row in self.history:
            if row.kind in CHARGES:
                yield row.product, row.asked_at, row.left
        for hold in self.open_holds:
            yield hold.product, hold.made_at, hold.credits

    def set_budget(
        self, set_by: str, product: str, period: str, credits: int, alert_percent: int
    ) -> tuple[Any, ...]:
        name = set_by, product, period
        if name not in self.budgets and len(self.budgets) >= self.limits.budgets:
            return ("TooManyBudgets",)
        self.budgets[name] = BudgetRow(set_by, product, period, credits, alert_percent)
        return "budget", *self.budgets[name].as_of(self.now, self.spendings()).facts

    def remove_budget(self, set_by: str, product: str, period: str) -> tuple[Any, ...]:
        return "budget removed", self.budgets.pop((set_by, product, period), None) is not None

    def budgets_of(self, product: str | None = None) -> list[BudgetNow]:
        """The budgets that can refuse a product; None: all."""
        spendings = list(self.spendings())
        return [
            row.as_of(self.now, spendings)
            for row in self.budgets.values()
            if product is None or row.applies_to(product)
        ]
