"""The load: all callers, in a thread of their own, while the main thread breaks things."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from foundation.errors import BillingError
from soak.callers import Batches, Caller, Charges, Courier, Holds, HotCharges, ShuffledCourier, World
from soak.plan import FINISH_SECONDS_MAX

LOOK_EVERY_SECONDS = 0.02
IMPATIENT_SECONDS = 1.0


class LoadEnded(BillingError):
    """Raised when a caller of the load ended by an error of its own, so the run means nothing."""


class Load:
    """The callers of a run. Leaving the block lets each finish its unit of work."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._usual: list[Caller] = [
            *(Charges(world) for _ in range(5)),
            # These give up early and ask again with the same key, while the first request may still run.
            *(Charges(world, patience=IMPATIENT_SECONDS) for _ in range(3)),
            *(HotCharges(world) for _ in range(4)),
            *(Batches(world) for _ in range(2)),
            *(Holds(world) for _ in range(3)),
            *(Courier(world) for _ in range(2)),
        ]
        self._loop = asyncio.new_event_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        self._loop.call_soon_threadsafe(self._world.all_kinds.set)
        self._start(self._usual)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._world.is_ending = True
        self._loop.call_soon_threadsafe(self._world.all_kinds.set)
        if kind is None:
            give_up_at = time.monotonic() + FINISH_SECONDS_MAX
            while any(not task.done() for task in self._tasks) and time.monotonic() < give_up_at:
                time.sleep(LOOK_EVERY_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        if kind is None:
            self._require_health()

    @contextmanager
    def charges_only(self) -> Iterator[None]:
        """Let batches, holds and webhooks rest, so that charges can be counted as equals."""
        self._loop.call_soon_threadsafe(self._world.all_kinds.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._world.all_kinds.set)

    @contextmanager
    def more_charges(self, callers: int) -> Iterator[None]:
        """More products that charge without a rest."""
        with self._more([Charges(self._world, rest=0) for _ in range(callers)]):
            yield

    @contextmanager
    def shuffled_webhooks(self, couriers: int) -> Iterator[None]:
        """Webhooks in any order, twice and at the same time."""
        with self._more([ShuffledCourier(self._world, rest=0) for _ in range(couriers)]):
            yield

    def run_for(self, seconds: float) -> None:
        """Let the load go on for this time."""
        time.sleep(seconds)
        self._require_health()

    def seconds_to_resume(self, seconds_max: float) -> tuple[float, list[str]]:
        """Wait until every usual caller has had a success from now on, and return how long that took.

        Also return the titles of the callers that had none.
        """
        now = time.monotonic()
        for caller in self._usual:
            caller.first_success_at = None
        while time.monotonic() < now + seconds_max:
            if all(caller.first_success_at for caller in self._usual):
                break
            self.run_for(LOOK_EVERY_SECONDS)
        waiting = [caller.title for caller in self._usual if not caller.first_success_at]
        latest = max(caller.first_success_at or now for caller in self._usual)
        return (seconds_max if waiting else latest - now), waiting

    @contextmanager
    def _more(self, callers: Sequence[Caller]) -> Iterator[None]:
        tasks = self._start(callers)
        try:
            yield
        finally:
            for caller in callers:
                caller.is_stopped = True
        give_up_at = time.monotonic() + FINISH_SECONDS_MAX
        while any(not task.done() for task in tasks) and time.monotonic() < give_up_at:
            time.sleep(LOOK_EVERY_SECONDS)

    def _start(self, callers: Sequence[Caller]) -> list[asyncio.Task[None]]:
        async def begin() -> list[asyncio.Task[None]]:
            return [asyncio.ensure_future(caller.run()) for caller in callers]

        tasks = asyncio.run_coroutine_threadsafe(begin(), self._loop).result()
        self._tasks += tasks
        return tasks

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _require_health(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done() or task_error(task)]
        for task in self._tasks:
            if error := task_error(task):
                raise LoadEnded(f"A caller of the load ended: {error!r}") from error


def task_error(task: "asyncio.Task[None]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
