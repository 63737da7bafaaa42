"""The callers: products that charge singly, in batches and through holds, and Stripe, which sends webhooks.

Each insists: a unit of work whose answer is lost, or is 503, is asked for again with the same key until an
answer decides it.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox import webhooks
from soak.client import ANSWER_SECONDS_MAX, Address, Answer, CutOff, Line, NoAnswer, Unreachable, post
from soak.plan import BATCH, REST_SECONDS
from soak.tally import Kind, Outcome, Tally, Unit

RETRY_SECONDS_MAX = 1.0
RECONNECT_SECONDS = 0.1
# The answers that are an outage of one kind or another. The proxy has all of them but 500.
PASSING = {500, 502, 503, 504}
TOPUP_CENTS, TOPUP_CREDITS = 2500, 25


@dataclass
class World:
    """What all callers share."""

    addresses: Sequence[Address]
    service_key: str
    webhook_secret: str
    feature: str
    price: int
    run: str  # Part of every key, so that no two runs share one.
    wallets: Sequence[str]
    hot_wallet: str
    tally: Tally
    chance: random.Random = field(default_factory=random.Random)
    numbers: Iterator[int] = field(default_factory=count)
    # Cleared while only single charges are wanted.
    all_kinds: asyncio.Event = field(default_factory=asyncio.Event)
    is_ending: bool = False

    def key(self, prefix: str) -> str:
        return f"{prefix}:{self.run}:{next(self.numbers)}"

    def wallet(self) -> str:
        return self.chance.choice(self.wallets)


class Caller:
    """One caller: does one unit of work after the other until it is stopped."""

    title = "a caller"
    is_charge_only = False

    def __init__(
        self, world: World, *, rest: float = REST_SECONDS, patience: float = ANSWER_SECONDS_MAX
    ) -> None:
        self.world = world
        self.is_stopped = False
        self.first_success_at: float | None = None  # Since it was last set to None.
        self._line = Line(world.addresses, first=next(world.numbers))
        self._rest = rest
        self._patience = patience

    async def run(self) -> None:
        try:
            while not self._is_over:
                if not self.is_charge_only:
                    await self.world.all_kinds.wait()
                await self.work()
                if self._rest:
                    await asyncio.sleep(self._rest * self.world.chance.uniform(0.5, 1.5))
        finally:
            self._line.close()

    async def work(self) -> None:
        """Do one unit of work."""
        raise NotImplementedError

    @property
    def _is_over(self) -> bool:
        return self.is_stopped or self.world.is_ending

    async def insist(self, path: str, body: object) -> Answer | None:
        """Ask until an answer decides; None if it is a refusal that asking again cannot change."""
        while True:
            answer = await self._once(self._request(path, body))
            if answer is not None and answer.status == 200:
                self._succeed()
                return answer
            if answer is not None and not self._is_passing(answer):
                what = answer.body[:120].decode(errors="replace")
                self.world.tally.window.unexpected[f"{answer.status} {path}: {what}"] += 1
                return None
            await self._pause(answer)

    async def _once(self, request: bytes) -> Answer | None:
        """Ask once, and note how it went; None without an answer."""
        window = self.world.tally.window
        try:
            answer = await self._line.ask(request, self._patience)
        except Unreachable:
            window.unreachable += 1
        except CutOff:
            window.cut_off += 1
        except NoAnswer:
            window.given_up += 1
        else:
            self._note(answer)
            return answer
        return None

    def _note(self, answer: Answer) -> None:
        window = self.world.tally.window
        window.slowest[self.title] = max(window.slowest.get(self.title, 0.0), answer.seconds)
        if answer.status == 200:
            window.answered.append(answer.seconds)
        elif answer.status == 503:
            (window.refused if answer.is_of_the_service else window.refused_by_proxy).append(answer.seconds)
        elif answer.status in PASSING:
            what = "the service" if answer.is_of_the_service else "the proxy"
            window.unexpected[f"{answer.status} of {what}"] += 1

    async def _pause(self, answer: Answer | None) -> None:
        seconds = RECONNECT_SECONDS if answer is None else RETRY_SECONDS_MAX
        await asyncio.sleep(seconds * self.world.chance.uniform(0.5, 1))

    def _is_passing(self, answer: Answer) -> bool:
        return answer.status in PASSING

    def _request(self, path: str, body: object) -> bytes:
        return post(path, body, {"x-wallet-service-key": self.world.service_key})

    def _succeed(self) -> None:
        if self.first_success_at is None:
            self.first_success_at = time.monotonic()

    def _decide(self, unit: Unit, result: dict[str, Any]) -> None:
        if result["allowed"]:
            self.world.tally.acknowledge(unit)
        else:
            unit.outcome = Outcome.DENIED
            self.world.tally.window.unexpected[f"a charge was denied: {json.dumps(result)[:120]}"] += 1

    def _new_charge(self, user_id: str) -> tuple[Unit, dict[str, Any]]:
        world = self.world
        unit = world.tally.begin(Kind.DEDUCT, world.key("charge"), user_id, world.price)
        return unit, {"user_id": user_id, "feature": world.feature, "idempotency_key": unit.key}


class Charges(Caller):
    """A product that charges one unit after the other, of many wallets."""

    title = "single charges"
    is_charge_only = True

    def user_id(self) -> str:
        return self.world.wallet()

    async def work(self) -> None:
        unit, body = self._new_charge(self.user_id())
        if answer := await self.insist("/io/wallet/deduct", body):
            self._decide(unit, answer.json())


class HotCharges(Charges):
    """The same, all of one wallet."""

    title = "charges of one wallet"

    def user_id(self) -> str:
        return self.world.hot_wallet


class Batches(Caller):
    """A product that charges in batches. Items that were not decided go into another batch."""

    title = "batches"

    async def work(self) -> None:
        left = [self._new_charge(self.world.wallet()) for _ in range(BATCH)]
        while left:
            answer = await self.insist("/io/wallet/deduct/batch", {"items": [body for _, body in left]})
            if answer is None:
                return
            undecided = []
            for (unit, body), result in zip(left, answer.json()["results"], strict=True):
                if result["status"] == 200:
                    self._decide(unit, result)
                elif result["status"] == 503:
                    undecided.append((unit, body))
                else:
                    self.world.tally.window.unexpected[f"an item: {json.dumps(result)[:120]}"] += 1
            left = undecided
            if left:
                await self._pause(answer)


class Holds(Caller):
    """A product that holds credits, works, and captures a part; every fifth hold is voided."""

    title = "holds"

    async def work(self) -> None:
        world, user_id = self.world, self.world.wallet()
        body = {
            "user_id": user_id,
            "feature": world.feature,
            "count": 3,
            "idempotency_key": world.key("hold"),
        }
        answer = await self.insist("/io/wallet/holds", body)
        if answer is None or not answer.json()["allowed"]:
            return
        path = f"/io/wallet/holds/{answer.json()['holdId']}"
        if world.chance.random() < 0.2:
            await self.insist(f"{path}/void", {"user_id": user_id})
            return
        captured = world.chance.randint(1, 3)
        unit = world.tally.begin(Kind.CAPTURE, str(body["idempotency_key"]), user_id, captured * world.price)
        if await self.insist(f"{path}/capture", {"user_id": user_id, "count": captured}):
            world.tally.acknowledge(unit)


class Courier(Caller):
    """Stripe: delivers an event until the answer is 200. Every other one is delivered twice."""

    title = "webhooks"
    path = "/io/wallet/webhook"

    async def work(self) -> None:
        world = self.world
        session_id = world.key("cs").replace(":", "_")
        unit = world.tally.begin(Kind.TOPUP, session_id, world.wallet(), TOPUP_CREDITS)
        event = paid_session(session_id, unit.user_id)
        if await self.insist(self.path, json.dumps(event).encode()):
            world.tally.acknowledge(unit)
        if world.chance.random() < 0.5:
            await self.insist(self.path, json.dumps(event).encode())

    def _request(self, path: str, body: object) -> bytes:
        assert isinstance(body, bytes)
        header = webhooks.signature(body, at=int(time.time()), secrets=[self.world.webhook_secret])
        return post(path, body, {"Stripe-Signature": header})

    def _is_passing(self, answer: Answer) -> bool:
        return True  # Stripe tries again after any other answer. A server with a wrong clock answers 400.


class ShuffledCourier(Courier):
    """Stripe on a bad day: the events of some payments come twice, in any order and at the same time."""

    title = "shuffled webhooks"
    payments = 5
    at_once = 4

    async def work(self) -> None:
        world, events, units = self.world, [], []
        for _ in range(self.payments):
            session_id = world.key("cs").replace(":", "_")
            refunded = world.chance.choice([0, 500, TOPUP_CENTS])
            left = TOPUP_CREDITS - refunded // 100
            units.append(world.tally.begin(Kind.TOPUP, session_id, world.wallet(), left))
            events += [paid_session(session_id, units[-1].user_id)]
            events += refunds_of(session_id, refunded) if refunded else []
        queue = events * 2
        world.chance.shuffle(queue)
        helpers = [_Helper(world, queue) for _ in range(self.at_once)]
        await asyncio.gather(*(helper.run() for helper in helpers))
        self._succeed()
        for unit in units:
            world.tally.acknowledge(unit)


class _Helper(Courier):
    """Delivers from a queue that it shares with others, until it is empty."""

    def __init__(self, world: World, queue: list[dict[str, Any]]) -> None:
        super().__init__(world, rest=0)
        self._queue = queue

    async def work(self) -> None:
        await self.insist(self.path, json.dumps(self._queue.pop()).encode())

    @property
    def _is_over(self) -> bool:
        return not self._queue


# --- Events, as Stripe sends them ---------------------------------------------------------------------


def paid_session(session_id: str, user_id: str) -> dict[str, Any]:
    about = {
        "id": session_id,
        "object": "checkout.session",
        "mode": "payment",
        "payment_status": "paid",
        "status": "complete",
        "amount_total": TOPUP_CENTS,
        "currency": "usd",
        "livemode": False,
        "payment_intent": f"pi_{session_id}",
        "metadata": {"type": "wallet_topup", "user_id": user_id, "product": "soak"},
    }
    return _event("checkout.session.completed", about)


def refunds_of(session_id: str, cents: int) -> list[dict[str, Any]]:
    """What Stripe reports of one refund: the refund, and the charge."""
    intent = f"pi_{session_id}"
    common = {"currency": "usd", "livemode": False, "payment_intent": intent, "metadata": {}}
    refund = {"id": f"re_{session_id}", "object": "refund", "amount": cents, "status": "succeeded"}
    charge = {"id": f"ch_{session_id}", "object": "charge", "amount": TOPUP_CENTS, "amount_refunded": cents}
    return [
        _event("refund.created", refund | common | {"created": int(time.time())}),
        _event("charge.refunded", charge | common | {"created": int(time.time())}),
    ]


def _event(kind: str, about: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"evt_{kind}_{about['id']}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": about},
    }
