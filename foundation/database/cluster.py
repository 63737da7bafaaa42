"""A cluster: PostgreSQL with the extension Citus, a coordinator and workers, which together are one database.

Each table of a cluster is placed. A distributed table has a part of its rows on each worker, in shards; all
rows of one wallet are in shards of one worker. A reference table has all of its rows on every node. A local
table has its rows on the coordinator. Every node reads and writes all tables, and a transaction over several
nodes is committed on all of them or on none. For this, Citus must know each local table
(`citus_add_local_table_to_metadata`); otherwise a kill at the wrong moment left a wallet's half of a
transaction without the other half.

misar_billing/placements.py says which table is placed how.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connection

from foundation.database.patience import PATIENT_LOCK_TIMEOUT_MS
from foundation.database.sql_texts import numbered_here

# The version of Citus that the service was tried with.
MAJOR = 14
SHARDS = 32
SESSION_SETTINGS = {
    "citus.enforce_foreign_key_restrictions": "off",
    # A session asks for this on the node that it enters; this is for its parts on the other ones. Without it,
    # a migration would wait there for a lock without a limit, and requests behind it.
    "lock_timeout": f"{PATIENT_LOCK_TIMEOUT_MS}",
}
# Every table of the schema public, but those of extensions.
TABLES = """
SELECT class.relname FROM pg_catalog.pg_class AS class
 WHERE class.relkind = 'r' AND class.relnamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::regclass
                      AND objid = class.oid AND deptype = 'e')
 ORDER BY class.relname
"""
FUNCTIONS = """
SELECT pg_get_functiondef(oid), CASE WHEN NOT EXISTS (
       SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
       THEN format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', oid::regprocedure) END
  FROM pg_catalog.pg_proc AS its
 WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_proc'::regclass
                      AND objid = its.oid AND deptype = 'e')
 ORDER BY proname
"""
PLACED = """
SELECT class.relname, CASE WHEN its.partmethod = 'h' THEN 'distributed'
                           WHEN its.repmodel = 't' THEN 'reference' ELSE 'local' END
  FROM pg_catalog.pg_dist_partition AS its
  JOIN pg_catalog.pg_class AS class ON class.oid = its.logicalrelid
"""


class Placement(StrEnum):
    """Where the rows of a table are."""

    DISTRIBUTED = "distributed"
    REFERENCE = "reference"
    LOCAL = "local"


@dataclass(frozen=True)
class Node:
    """A server of the cluster."""

    host: str
    port: int
    is_coordinator: bool
    is_active: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Place:
    """How one table is placed. A distributed table is cut into shards by the values of `column`."""

    placement: Placement
    column: str = ""


def version() -> str | None:
    """Return the version of Citus in this database, such as 14.0-1, or None without Citus."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'")
        row = cursor.fetchone()
    return row[0] if row else None


def is_distributed() -> bool:
    """Return whether tables of this database have been placed on a cluster."""
    return bool(placed())


def is_worker() -> bool:
    """Return whether this connection has entered a cluster through one of its workers."""
    if version() is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT groupid <> 0 FROM pg_catalog.pg_dist_local_group")
        return bool(cursor.fetchone()[0])


def nodes() -> list[Node]:
    """Return the nodes of the cluster, the coordinator first. A database without Citus has none."""
    if version() is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nodename, nodeport, groupid = 0, isactive FROM pg_catalog.pg_dist_node"
            " WHERE noderole = 'primary' ORDER BY groupid"
        )
        return [Node(*row) for row in cursor.fetchall()]


def tables() -> list[str]:
    """Return all tables of the schema public, in the order of their names."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return [name for (name,) in cursor.fetchall()]


def placed() -> dict[str, Placement]:
    """Return how each table is placed that is placed. A database without Citus has none."""
    if version() is None:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(PLACED)
        return {name: Placement(placement) for name, placement in cursor.fetchall()}


def allow_migrations() -> None:
    """Let this session change tables and triggers of a cluster as it does those of a single server.

    Citus refuses triggers of distributed and reference tables unless told otherwise. Ours look only at rows
    of the row's own wallet and at reference tables, which are on the same node
    (docs/decisions/0044-one-schema-for-a-server-and-a-cluster.md). With one connection to each node, one
    transaction may change several tables.
    """
    if version() is not None:
        with connection.cursor() as cursor:
            cursor.execute("SET citus.enable_unsafe_triggers = on")
            cursor.execute("SET citus.multi_shard_modify_mode = 'sequential'")


def set_sessions() -> None:
    """Set on every node what the sessions of this database need. Citus sets it on a node that is added later.

    Citus refuses to change a row that a foreign key may name after a statement of the same transaction has
    used several connections, because the check of the foreign key could wait for its own transaction. It does
    not ask which tables that statement read. In our schema no distributed table names a row of another kind
    of table, so there is nothing to wait for (tests/misar_billing/test_placements.py checks it).
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = connection.ops.quote_name(cursor.fetchone()[0])
        for setting, value in SESSION_SETTINGS.items():
            cursor.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
            cursor.execute(f"SET {setting} = {value}")


def know_functions() -> None:
    """Make the functions of this database known to Citus, which makes them on every node, new ones too.

    Citus follows each function that is made or replaced since there is the extension. Those of a server that
    was filled before would be missing where the triggers call them.
    """
    with connection.cursor() as cursor:
        cursor.execute(FUNCTIONS)
        for definition, revocation in cursor.fetchall():
            cursor.execute(definition)
            if revocation:
                cursor.execute(revocation)


def place(places: dict[str, Place], *, shards: int = SHARDS) -> Iterator[str]:
    """Place these tables, which are not placed yet. Yield the name of each before it is placed.

    Run it in a transaction, on the coordinator, as the owner of the tables. All distributed tables are placed
    beside the first one: equal values of their columns are on the same node.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET citus.enable_unsafe_triggers = on")
        moved = [table for table, place in places.items() if place.placement != Placement.LOCAL]
        distributed = [table for table, place in places.items() if place.placement == Placement.DISTRIBUTED]
        triggers = _triggers(cursor, moved)
        foreign_keys = _foreign_keys(cursor, distributed)
        # Triggers would fire while rows are copied. A foreign key can hold only when both tables are placed.
        for table, name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}" ON "{table}"')
        for table, name, _ in foreign_keys:
            cursor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')
        for table in places:
            _widen_numbers(cursor, table)
        # The distributed ones come last: placing them uses many connections, and then Citus refuses others.
        for table, place in places.items():
            if place.placement == Placement.REFERENCE:
                yield table
                _keeping_numbers(cursor, table, "SELECT create_reference_table(%s)")
        for table, place in places.items():
            # A foreign key may have brought it along.
            if place.placement == Placement.LOCAL and table not in placed():
                yield table
                _keeping_numbers(
                    cursor,
                    table,
                    "SELECT citus_add_local_table_to_metadata(%s, cascade_via_foreign_keys => true)",
                )
        before = [table for table, placement in placed().items() if placement == Placement.DISTRIBUTED]
        first = min(before, default=None)
        for table in distributed:
            yield table
            _distribute(cursor, table, places[table].column, beside=first, shards=shards)
            first = first or table
        # Their rows are in the shards now. Citus leaves a copy, which no query sees any more.
        for table in distributed:
            cursor.execute("SELECT truncate_local_data_after_distributing_table(%s)", [table])
        for table, name, definition in foreign_keys:
            cursor.execute(f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" {definition}')
        for _, _, definition in triggers:
            cursor.execute(definition)


def _distribute(cursor: Any, table: str, column: str, *, beside: str | None, shards: int) -> None:
    if beside:
        cursor.execute(
            "SELECT create_distributed_table(%s, %s, colocate_with => %s)", [table, column, beside]
        )
    else:
        cursor.execute(
            "SELECT create_distributed_table(%s, %s, colocate_with => 'none', shard_count => %s)",
            [table, column, shards],
        )


def _triggers(cursor: Any, tables: list[str]) -> list[tuple[str, str, str]]:
    cursor.execute(
        "SELECT class.relname, its.tgname, pg_get_triggerdef(its.oid) FROM pg_catalog.pg_trigger AS its"
        "  JOIN pg_catalog.pg_class AS class ON class.oid = its.tgrelid"
        " WHERE NOT its.tgisinternal AND class.relnamespace = 'public'::regnamespace"
        "   AND class.relname = ANY (%s) ORDER BY 1, 2",
        [tables],
    )
    return list(cursor.fetchall())


def _foreign_keys(cursor: Any, tables: list[str]) -> list[tuple[str, str, str]]:
    cursor.execute(
        "SELECT class.relname, its.conname, pg_get_constraintdef(its.oid)"
        "  FROM pg_catalog.pg_constraint AS its"
        "  JOIN pg_catalog.pg_class AS class ON class.oid = its.conrelid"
        " WHERE its.contype = 'f' AND its.conparentid = 0 AND class.relnamespace = 'public'::regnamespace"
        "   AND class.relname = ANY (%s) ORDER BY 1, 2",
        [tables],
    )
    return list(cursor.fetchall())


def _widen_numbers(cursor: Any, table: str) -> None:
    """Make the numbered column of a third party's table bigint, and let the coordinator number its rows.

    Each node has numbers of its own range, which for all but the coordinator begins above an integer. The
    column must hold such a number until the coordinator has replaced it by one that Django's field holds.
    """
    cursor.execute(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass"
        "   AND attidentity <> '' AND atttypid = 'integer'::regtype",
        [table],
    )
    for (column,) in cursor.fetchall():
        cursor.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE bigint')
        cursor.execute(numbered_here(table)[0])


def _keeping_numbers(cursor: Any, table: str, statement: str) -> None:
    """Place a table, and with it those that its foreign keys name. Citus begins their sequences anew."""
    before = _numbers(cursor)
    cursor.execute(statement, [table])
    after = _numbers(cursor)
    for sequence, last in before.items():
        if last is not None and after[sequence] != last:
            cursor.execute("SELECT setval(%s, %s)", [sequence, last])


def _numbers(cursor: Any) -> dict[str, int | None]:
    """Return the last number that each sequence has given; None if it has given none."""
    cursor.execute(
        "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_catalog.pg_sequences"
        " WHERE schemaname = 'public'"
    )
    return dict(cursor.fetchall())
