"""A cluster of a test: a coordinator and two workers, with the service's tables."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foundation.database.configuration import NAME
from sandbox.postgres_programs import _inspect
from tests import replication
from tests.replication import OPERATOR, OWNER, RUNTIME, Place, Server, manage

WORKERS = 2
SHARDS = 8
SETTINGS = {
    "shared_preload_libraries": "citus",
    "max_prepared_transactions": "100",
    "wal_level": "logical",
    "max_locks_per_transaction": "256",
    "citus.node_conninfo": "sslmode=disable",
}


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A place for servers with Citus. CITUS_PG_BIN names the folder of their programs, as PG_BIN does."""
    chosen = os.environ.get("CITUS_PG_BIN")
    if not chosen:
        pytest.skip("CITUS_PG_BIN names no PostgreSQL with Citus")
    if not list(Path(chosen).parent.glob("share/**/extension/citus.control")):
        pytest.skip(f"the PostgreSQL of CITUS_PG_BIN, {chosen}, has no Citus")
    assert _inspect(Path(chosen)), f"no PostgreSQL of CITUS_PG_BIN, {chosen}, works here"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", chosen)
        with replication.place(folder) as here:
            yield here


class Node(Server):
    """A server of the cluster, which starts with the settings of one."""

    def start(self, **settings: str) -> None:
        super().start(**SETTINGS | settings)


class Cluster:
    """A coordinator and workers with empty books and all roles, and a key of the blog."""

    def __init__(self, place: Place) -> None:
        self.coordinator = Node(place, "coordinator")
        self.workers = [Node(place, f"worker_{number}") for number in range(1, WORKERS + 1)]
        self.service_key = ""

    @property
    def nodes(self) -> list[Server]:
        return [self.coordinator, *self.workers]

    def fill(self) -> None:
        """Start the servers, and make the books on them."""
        for node in self.nodes:
            node.initialise()
            node.start(fsync="off")
            replication.make_database(node)
            node.rows("CREATE EXTENSION citus")
        self.coordinator.rows("SELECT citus_set_coordinator_host('127.0.0.1', %s)", self.coordinator.port)
        for worker in self.workers:
            self.coordinator.rows("SELECT citus_add_node('127.0.0.1', %s)", worker.port)
        self.command("migrate", "--verbosity=0", role=OWNER)
        self.command("distribute", f"--shards={SHARDS}", role=OWNER)
        self.command("database_roles", role=OWNER)
        key = self.command("create_service_key", "--product", "blog", role=RUNTIME)
        self.service_key = key.split()[-1]

    def command(self, *command: str, role: str = OPERATOR) -> str:
        """Run a command of operators, on the coordinator."""
        return manage(self.coordinator.url(role), *command)

    @property
    def url(self) -> str:
        """The DATABASE_URL of the service: it enters through the workers."""
        return f"postgres://{RUNTIME}@{','.join(f'127.0.0.1:{each.port}' for each in self.workers)}/{NAME}"

    def home_of(self, user_id: str) -> Server:
        """The worker that has a user's wallet."""
        port = self.coordinator.value(
            "SELECT nodeport FROM pg_dist_placement JOIN pg_dist_node USING (groupid)"
            " WHERE shardid = get_shard_id_for_distribution_column('wallet_wallet', %s::text)",
            user_id,
        )
        return next(node for node in self.nodes if node.port == port)

    def user_of(self, worker: Server, prefix: str) -> str:
        """A user whose wallet a worker has."""
        return next(
            user_id
            for user_id in (f"{prefix}_{number}" for number in range(1000))
            if self.home_of(user_id) is worker
        )

    def group_of(self, node: Server) -> int:
        """The number by which Citus knows a node."""
        return int(self.coordinator.value("SELECT groupid FROM pg_dist_node WHERE nodeport = %s", node.port))

    def recover(self) -> None:
        """End the transactions over several nodes of which a node had not heard the end when it failed."""
        for node in self.nodes:
            node.rows("SELECT recover_prepared_transactions()")
        for node in self.nodes:
            assert (
                node.value("SELECT count(*) FROM pg_prepared_xacts WHERE prepared < now() - interval '5 s'")
                == 0
            )

    def end(self) -> None:
        for node in self.nodes:
            node.end()
