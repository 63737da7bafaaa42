"""The command that places the tables on a cluster: `manage.py distribute [--dry-run] [--shards N]`."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from accounts import maintenance
from accounts.models import Maintenance
from foundation.database import cluster, nodes
from foundation.database.cluster import Place, Placement
from foundation.database.nodes import NodeUnreadable
from foundation.database.patience import patient
from foundation.errors import first_line
from foundation.operators import database_read, require_coordinator
from foundation.words import count
from misar_billing import placements

MEANINGS = {
    Placement.DISTRIBUTED: "distributed by the wallet's user, the rows of one wallet on one node",
    Placement.REFERENCE: "on every node",
    Placement.LOCAL: "local to the coordinator",
}
# Every node takes part in transactions over several nodes, for which PostgreSQL needs this setting.
PREPARED = "SELECT current_setting('max_prepared_transactions')"


class Command(BaseCommand):
    help = (
        "Place the tables of the service on a cluster of PostgreSQL with Citus: those of the wallets on the "
        "workers, a few that every charge reads on every node, all others on the coordinator. Run it on the "
        "coordinator as the owner of the tables, after `migrate`, while there is maintenance. It is one "
        "transaction. It is safe to run again: it then places what is new. docs/scaling.md has the steps."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="check the cluster, and only say what to do: also without maintenance",
        )
        parser.add_argument(
            "--shards",
            type=int,
            default=cluster.SHARDS,
            metavar="N",
            help="how many shards the wallets are cut into: the most nodes that they can be on; %(default)s",
        )

    def handle(self, *, dry_run: bool, shards: int, **options: Any) -> None:
        if not 1 <= shards <= 1024:
            raise CommandError("--shards is a number from 1 to 1024.")
        with patient():
            try:
                self._distribute(dry_run=dry_run, shards=shards)
            except Error as error:
                raise CommandError(f"No table was placed: {first_line(error)}") from error
            except NodeUnreadable as error:
                raise CommandError(f"{error}. No table was placed.") from error
            except KeyboardInterrupt:
                raise CommandError("Interrupted. Run it again: it places what is not placed yet.") from None

    def _distribute(self, *, dry_run: bool, shards: int) -> None:
        _require_cluster()
        tables = cluster.tables()
        wanted, placed = placements.of_tables(tables), cluster.placed()
        for table, placement in placed.items():
            if table in wanted and wanted[table].placement != placement:
                raise CommandError(
                    f"{table} is {placement} and should be {wanted[table].placement}. Nothing was changed."
                )
        missing = {table: place for table, place in wanted.items() if table not in placed}
        if not missing:
            if not dry_run:
                cluster.set_sessions()
            self._say(f"All {len(tables)} tables of {database_read()} are placed. There is nothing to do.")
            return
        self._plan(missing, shards=shards, is_first=not placed)
        if dry_run:
            self._say("Nothing was changed: this was a dry run.")
            return
        if _has_wallets():
            _require_maintenance()
        began = time.monotonic()
        cluster.set_sessions()
        if not placed:
            # In one transaction with the tables, Citus would not find them on the nodes.
            cluster.know_functions()
        with transaction.atomic(), connection.cursor() as cursor:
            # No other session may have written what is not copied.
            cursor.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(
                    sql.SQL(", ").join(map(sql.Identifier, missing))
                )
            )
            for table in cluster.place(missing, shards=shards):
                self._say(f"{time.monotonic() - began:7.1f} s  {table}")
        self._say(f"Placed {count(len(missing), 'table')} in {time.monotonic() - began:.1f} seconds.")

    def _plan(self, missing: dict[str, Place], *, shards: int, is_first: bool) -> None:
        for placement, meaning in MEANINGS.items():
            names = sorted(table for table, place in missing.items() if place.placement == placement)
            if names:
                self._say(f"{count(len(names), 'table')} {meaning}:\n  {', '.join(names)}")
        if is_first:
            workers = [node for node in cluster.nodes() if not node.is_coordinator]
            self._say(
                f"The wallets are cut into {count(shards, 'shard')} on {count(len(workers), 'worker')}."
            )

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _require_cluster() -> None:
    """Raise CommandError unless this is the coordinator of a cluster that can take the tables."""
    found = cluster.version()
    if found is None:
        raise CommandError(
            f"{database_read()} has no Citus: CREATE EXTENSION citus, on each node. Nothing was changed."
        )
    if int(found.split(".")[0]) != cluster.MAJOR:
        raise CommandError(
            f"{database_read()} has Citus {found}, but this release was tried with {cluster.MAJOR}. "
            "Nothing was changed."
        )
    require_coordinator()
    with connection.cursor() as cursor:
        if not any(node.is_coordinator for node in cluster.nodes()):
            raise CommandError(
                "The workers do not know the coordinator's address: "
                "SELECT citus_set_coordinator_host('HOST', PORT). Nothing was changed."
            )
        cursor.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_node WHERE shouldhaveshards)")
        if cursor.fetchone() == (False,):
            raise CommandError(
                "The cluster has no node for the wallets: SELECT citus_add_node('HOST', PORT) for each "
                "worker. Nothing was changed."
            )
    prepared = nodes.answers(PREPARED)
    if unprepared := [name or database_read() for name, value in prepared.items() if value == "0"]:
        raise CommandError(
            f"{', '.join(unprepared)}: set max_prepared_transactions to at least max_connections, and "
            "restart PostgreSQL. Nothing was changed."
        )
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("There are migrations to apply: run migrate first. Nothing was changed.")


def _has_wallets() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM wallet_wallet)")
        return bool(cursor.fetchone()[0])


def _require_maintenance() -> None:
    """Raise CommandError if the service may be writing."""
    if not Maintenance.objects.exists():
        raise CommandError(
            'The service accepts changes: run `manage.py maintenance begin "Why."` first. '
            "Nothing was changed."
        )
    if maintenance.is_a_round_running() or maintenance.still_writing(seconds=0):
        raise CommandError(
            "Something still writes: run `manage.py maintenance begin` again. Nothing was changed."
        )
