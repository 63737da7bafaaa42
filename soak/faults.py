"""The faults. Each runs once in a round, while the load goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from foundation.errors import BillingError
from soak.load import Load
from soak.plan import EVERY_THREAD, STORM_TIMES
from soak.servers import Server, faketime, wrong_clock
from soak.surroundings import Surroundings
from soak.tally import Storm, Tally, percentile

DAYS_OFF = 2
COURIERS = 3
RAMP_SECONDS = 1.0


class NotBroken(BillingError):
    """Raised when a fault did not happen, so the run would say nothing about it."""


@dataclass(frozen=True)
class Scene:
    """What a fault works with; it lasts `seconds`."""

    around: Surroundings
    load: Load
    tally: Tally
    seconds: float
    round_number: int

    def wait(self) -> None:
        self.load.run_for(self.seconds)

    @property
    def server(self) -> Server:
        """The server of this round; the other one in the next."""
        return self.around.servers[self.round_number % len(self.around.servers)]


def nothing(scene: Scene) -> None:
    scene.wait()


def postgres_killed(scene: Scene) -> None:
    with scene.around.database.killed():
        scene.wait()


def postgres_stopped(scene: Scene) -> None:
    with scene.around.database.stopped():
        scene.wait()


def postgres_slow(scene: Scene) -> None:
    scene.around.database.slow(scene.seconds)


def read_only(scene: Scene) -> None:
    with scene.around.database.read_only():
        scene.wait()


def out_of_connections(scene: Scene) -> None:
    scene.around.database.out_of_connections(scene.seconds)


def disk_full(scene: Scene) -> None:
    with scene.around.database.disk.full():
        scene.wait()
    scene.around.database.start_again()


def worker_killed(scene: Scene) -> None:
    scene.server.kill_worker()
    scene.wait()


def worker_stopped(scene: Scene) -> None:
    with scene.server.worker_stopped():
        scene.wait()


def server_restarted(scene: Scene) -> None:
    scene.server.stop()
    scene.server.start()


def storm(scene: Scene) -> None:
    with scene.load.charges_only():
        with scene.load.more_charges(EVERY_THREAD):
            best, _ = _measure(scene)
        with scene.load.more_charges(EVERY_THREAD * STORM_TIMES):
            under_load, seconds = _measure(scene)
    scene.tally.window.storm = Storm(best, under_load, percentile(seconds, 99))


def _measure(scene: Scene) -> tuple[float, list[float]]:
    """Charges a second, and the seconds of each answer, after the callers have begun."""
    scene.load.run_for(min(RAMP_SECONDS, scene.seconds))
    window, first, began_at = scene.tally.window, len(scene.tally.window.answered), time.monotonic()
    scene.wait()
    answered = window.answered[first:]
    return len(answered) / (time.monotonic() - began_at), answered


def webhooks_shuffled(scene: Scene) -> None:
    with scene.load.shuffled_webhooks(COURIERS):
        scene.wait()


def clock_off(scene: Scene) -> None:
    days = DAYS_OFF if scene.round_number % 2 else -DAYS_OFF
    scene.server.stop()
    scene.server.start(wrong_clock(days))
    try:
        if round(scene.server.days_off()) != days:
            raise NotBroken(f"{scene.server.name} has the right clock, so nothing can be learnt from it.")
        scene.wait()
    finally:
        scene.server.stop()
    scene.server.start()


@dataclass(frozen=True)
class Fault:
    """A fault; `missing` says why it cannot happen here, or nothing."""

    name: str
    title: str
    run: Callable[[Scene], None]
    missing: Callable[[Surroundings], str] = lambda around: ""


FAULTS = [
    Fault("nothing", "nothing (to compare)", nothing),
    Fault("postgres_killed", "PostgreSQL killed", postgres_killed),
    Fault("postgres_stopped", "PostgreSQL stopped by signal", postgres_stopped),
    Fault("postgres_slow", "PostgreSQL slow in bursts", postgres_slow),
    Fault("read_only", "PostgreSQL read-only", read_only),
    Fault("out_of_connections", "PostgreSQL out of connections", out_of_connections),
    Fault("disk_full", "disk full", disk_full, lambda around: around.database.disk.missing),
    Fault("worker_killed", "web worker killed", worker_killed),
    Fault("worker_stopped", "web worker stopped by signal", worker_stopped),
    Fault("server_restarted", "SIGTERM of one server", server_restarted),
    Fault("storm", f"{STORM_TIMES} times the load", storm, lambda around: around.no_proxy),
    Fault("webhooks_shuffled", "webhooks shuffled and doubled", webhooks_shuffled),
    Fault(
        "clock_off",
        "clock of one server two days off",
        clock_off,
        lambda around: "" if faketime() else "libfaketime is not installed",
    ),
]
