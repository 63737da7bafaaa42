"""A database of the tests on a cluster: DATABASE_URL names a database of the coordinator that has Citus.

Citus does not copy databases, so each worker of pytest has its own one migrated and placed. With
CLUSTER_ENTRY=workers in the environment, the tests enter through a worker node, as web processes do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from foundation.database import cluster

# Fewer shards than in production, so that a look at all of them is quick.
SHARDS = 4
# SET CONSTRAINTS does not reach the transactions of the workers. A function that a worker runs for each
# wallet reaches them, on the connections that this transaction uses.
JUDGE_NOW = """
CREATE SCHEMA tests; -- Outside of public, where the laws find foreign objects.
CREATE FUNCTION tests.judge_now() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RETURN true; END $$
"""
JUDGED = (
    "SET CONSTRAINTS ALL IMMEDIATE",
    "SELECT tests.judge_now() FROM wallet_wallet",
    "SELECT tests.judge_now() FROM wallet_entry LIMIT 1000",
    "SET CONSTRAINTS ALL DEFERRED",
)


def is_one() -> bool:
    """Whether DATABASE_URL names a cluster."""
    return "DATABASE_URL" in os.environ and bool(nodes())


@cache
def nodes() -> tuple[cluster.Node, ...]:
    """The nodes of the cluster that DATABASE_URL names, the coordinator first; without a cluster, none."""
    with session_on(connection.settings_dict["NAME"]) as database:
        if not database.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone():
            return ()
        rows = database.execute(
            "SELECT nodename, nodeport, groupid = 0, isactive FROM pg_dist_node ORDER BY groupid"
        )
        return tuple(cluster.Node(*row) for row in rows)


@contextmanager
def session_on(name: str, node: cluster.Node | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A session with a database of one node; of the coordinator, if none is named."""
    parameters: dict[str, Any] = connection.get_connection_params()
    chosen = {key: parameters[key] for key in ("user", "password", "host", "port") if parameters.get(key)}
    if node is not None:
        chosen |= {"host": node.host, "port": node.port}
    with psycopg.connect(dbname=name, autocommit=True, **chosen) as session:
        yield session


def create(name: str) -> None:
    """Make an empty database on each node, with the extension, and let the coordinator know the workers."""
    coordinator, *workers = nodes()
    for node in nodes():
        with session_on("postgres", node) as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with session_on(name, node) as session:
            session.execute("CREATE EXTENSION citus")
    with session_on(name, coordinator) as session:
        session.execute("SELECT citus_set_coordinator_host(%s, %s)", [coordinator.host, coordinator.port])
        for worker in workers:
            session.execute("SELECT citus_add_node(%s, %s)", [worker.host, worker.port])


def fill(verbosity: int) -> None:
    """Migrate the database of the default connection, and place its tables."""
    call_command("migrate", verbosity=verbosity, interactive=False)
    with open("/dev/null", "w") as nowhere:
        call_command("distribute", shards=SHARDS, stdout=nowhere)
    with connection.cursor() as cursor:
        cursor.execute(JUDGE_NOW)
    from tests.wallet import clock  # It imports models; limits.py imports this module without settings.

    clock.make()


def _judge_now() -> None:
    """Stands for `connection.check_constraints`: let deferred laws speak now, on each node."""
    with connection.cursor() as cursor:
        for statement in JUDGED:
            cursor.execute(statement)


def wait_for_locks(milliseconds: int) -> None:
    """Let the next sessions between nodes wait so long for a lock. A session does not pass its limit on."""
    name = connection.settings_dict["NAME"]
    with session_on(name, nodes()[0]) as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET lock_timeout = {}").format(sql.Identifier(name), milliseconds)
        )


@contextmanager
def at_the_coordinator() -> Iterator[None]:
    """Let the default connection enter through the coordinator, as a command that changes roles must."""
    if os.environ.get("CLUSTER_ENTRY") != "workers":
        yield
        return
    settings = connection.settings_dict
    usual = {key: settings[key] for key in ("HOST", "PORT")}
    coordinator = nodes()[0]
    connection.close()
    settings.update(HOST=coordinator.host, PORT=str(coordinator.port))
    yield
    connection.close()
    settings.update(usual)


@contextmanager
def entered() -> Iterator[None]:
    """Let the default connection enter through the workers, if the environment says so."""
    settings = connection.settings_dict
    usual = {key: settings[key] for key in ("HOST", "PORT")}
    if os.environ.get("CLUSTER_ENTRY") == "workers":
        connection.close()
        workers = [node for node in nodes() if not node.is_coordinator]
        settings["HOST"] = ",".join(node.host for node in workers)
        settings["PORT"] = ",".join(str(node.port) for node in workers)
    # It is called between the tests' own statements, in the thread that has this connection.
    connection.check_constraints = _judge_now  # type: ignore[method-assign, assignment]
    yield
    del connection.check_constraints
    connection.close()
    settings.update(usual)


def drop(name: str) -> None:
    """Drop a database on each node."""
    for node in nodes():
        with suppress(psycopg.OperationalError), session_on("postgres", node) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
