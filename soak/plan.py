"""How long a run is, and how much load it makes."""

from dataclasses import dataclass

from misar_billing import gunicorn_conf

SERVERS = 2
# All threads of all servers: with as many callers, every thread is busy and no request waits for one.
EVERY_THREAD = SERVERS * gunicorn_conf.workers * gunicorn_conf.threads
STORM_TIMES = 20
BATCH = 10
WALLETS = 50
# How long a caller rests after each unit of work, so that the usual load leaves room on a small machine.
REST_SECONDS = 0.1
# If a caller had no success in this time after the end of a fault, the service did not resume.
RESUME_SECONDS_MAX = 60.0
# How long callers wait for their last answers when the load stops.
FINISH_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Plan:
    """A run: in each round every fault happens once, and lasts `seconds`."""

    rounds: int = 10
    seconds: float = 5.0
    only: tuple[str, ...] = ()

    @property
    def drain_seconds(self) -> float:
        """How long a server that is stopped goes on; the proxy asks each second whether it does."""
        return min(4.0, 2 * self.seconds)

    @property
    def quiet_seconds(self) -> float:
        """How long the load runs undisturbed before each fault."""
        return min(1.0, self.seconds / 2)
