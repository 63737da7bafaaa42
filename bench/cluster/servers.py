"""The databases of a run, made on the servers that the caller names, and the web servers that enter them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from bench import consumption
from bench.against.checkouts import OPEN_WALLETS
from bench.against.plan import FEATURE, Wallets
from bench.settings import DATABASE_NAME
from foundation.database import configuration
from foundation.errors import BillingError
from sandbox import environment
from sandbox.processes import WEB, Processes

# So many gunicorns enter a database, each with one worker, as so many machines would.
GUNICORNS = 2


class NotMeasured(BillingError):
    """Raised when the servers are not what a run needs, or a program fails on them."""


@dataclass(frozen=True)
class Node:
    """A PostgreSQL server that runs on this machine, by a URL of one of its databases."""

    name: str
    url: str

    def url_of(self, database: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{quote(database)}").geturl()

    def session(self, database: str = "") -> psycopg.Connection[Any]:
        url = self.url_of(database) if database else self.url
        return psycopg.connect(url, autocommit=True, connect_timeout=10)

    @cached_property
    def postmaster(self) -> int:
        """The process that all processes of this server are children of."""
        with self.session() as session:
            parent = consumption.parent(session.info.backend_pid)
        if parent is not None:
            return parent
        raise NotMeasured(f"{self.name} runs on another machine: its processor time cannot be read.")

    def seconds_by_process(self) -> dict[int, float]:
        """Processor time so far of all processes of this server."""
        return consumption.seconds_by_process([self.postmaster, *consumption.children(self.postmaster)])


@dataclass(frozen=True)
class Database:
    """An empty database of one server or of a cluster. The first node is the one that is asked."""

    title: str
    name: str
    nodes: Sequence[Node]
    is_cluster: bool = False
    _secrets: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make it on each node, migrated and placed; drop it at the end."""
        self._drop()
        try:
            for node in self.nodes:
                with node.session() as session:
                    session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
                if self.is_cluster:
                    with node.session(self.name) as session:
                        session.execute("CREATE EXTENSION citus")
            if self.is_cluster:
                self._introduce()
            self.run("manage.py", "migrate", "--verbosity=0")
            if self.is_cluster:
                self.run("manage.py", "distribute")
            yield
        finally:
            self._drop()

    def _introduce(self) -> None:
        coordinator, *workers = self.nodes
        with coordinator.session(self.name) as session:
            for function, node in (
                ("citus_set_coordinator_host", coordinator),
                *(("citus_add_node", worker) for worker in workers),
            ):
                with node.session() as other:
                    host, port = other.info.host, other.info.port
                session.execute(sql.SQL("SELECT {}(%s, %s)").format(sql.Identifier(function)), [host, port])

    def _drop(self) -> None:
        for node in self.nodes:
            with suppress(psycopg.OperationalError), node.session() as session:
                session.execute(
                    sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name))
                )

    def run(self, *command: str, stdin: str = "") -> str:
        """Run Python with the service on this database, and return what it writes to standard output."""
        done = subprocess.run(  # noqa: S603 (commands of our own)
            [sys.executable, *command],
            cwd=configuration.ROOT,
            env=self._environ(self.nodes[0]),
            input=stdin,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            complaint = (done.stderr.strip() or done.stdout.strip() or "no reason").splitlines()[-1]
            raise NotMeasured(f"{self.title}: {' '.join(command[:2])[:60]} failed: {complaint}")
        return done.stdout

    def open(self, wallets: int) -> list[str]:
        """Open so many wallets, and make a service key. Return the users."""
        kind = Wallets("plain")
        user_ids = kind.user_ids(wallets)
        wanted = [asdict(kind) | {"user_ids": user_ids, "feature": FEATURE}]
        self._secrets["key"] = self.run(
            "-c", Path(OPEN_WALLETS).read_text(), stdin=json.dumps(wanted)
        ).strip()
        return user_ids

    @property
    def secret(self) -> str:
        return self._secrets["key"]

    def users_on(self, node: Node, user_ids: Sequence[str]) -> list[str]:
        """Those of the users whose wallets are on a node of the cluster."""
        with node.session() as session:
            port = session.info.port
        with self.nodes[0].session(self.name) as session:
            rows = session.execute(
                "SELECT user_id FROM unnest(%s::text[]) AS user_id WHERE EXISTS ("
                "SELECT 1 FROM pg_dist_placement JOIN pg_dist_node USING (groupid) WHERE nodeport = %s"
                "   AND shardid = get_shard_id_for_distribution_column('wallet_wallet', user_id))",
                [list(user_ids), port],
            )
            return [user_id for (user_id,) in rows]

    def _environ(self, node: Node) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "misar_billing.settings",
            "DATABASE_URL": node.url_of(self.name),
            "WEB_WORKERS": "1",
        }

    @contextmanager
    def web_servers(self, entries: Sequence[Node]) -> Iterator["WebServers"]:
        """Run GUNICORNS gunicorns, which enter the database through these nodes in turn."""
        host = os.environ["HOST"]
        with ExitStack() as stack:
            addresses, workers = [], []
            for number in range(GUNICORNS):
                port = environment.free_port()
                environ = self._environ(entries[number % len(entries)]) | {"PORT": str(port)}
                environ["INTERNAL_PORT"] = str(environment.free_port())
                processes = stack.enter_context(Processes())
                pid = processes.start(self.title, WEB, environ=environ)
                processes.wait_until_healthy(self.title, host, port)
                addresses.append((host, port))
                workers += consumption.children(pid)
            yield WebServers(addresses, workers)


@dataclass(frozen=True)
class WebServers:
    """Running gunicorns: their addresses, and the process ids of their workers."""

    addresses: Sequence[tuple[str, int]]
    workers: Sequence[int]


def one(url: str) -> Database:
    """A database on one server."""
    return Database("one server", f"{DATABASE_NAME}_one", [Node("one server", url)])


def cluster(url: str) -> Database:
    """A database on the nodes of a cluster: its coordinator, by this URL, and the workers that it knows."""
    with Node("coordinator", url).session() as session:
        rows = session.execute(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0 AND noderole = 'primary'"
            " ORDER BY groupid"
        ).fetchall()
    parts = urlsplit(url)
    account, _, _ = parts.netloc.rpartition("@")
    workers = [
        Node(f"worker {number}", parts._replace(netloc=f"{account}@{host}:{port}").geturl())
        for number, (host, port) in enumerate(rows, 1)
    ]
    if len(workers) < GUNICORNS:
        raise NotMeasured(f"The cluster has {len(workers)} workers, and a run needs {GUNICORNS}.")
    nodes = [Node("coordinator", url), *workers]
    return Database("cluster", f"{DATABASE_NAME}_cluster", nodes, is_cluster=True)
