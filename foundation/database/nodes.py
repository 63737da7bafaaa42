"""What each node of a cluster has of its own: its catalogue, its sessions, its locks. Each node is asked.

What a migration makes is on every node. But an operator of one server can drop or change it there alone.
"""

import json
import re
from collections.abc import Iterator

from django.db import connection

from foundation.database import cluster
from foundation.errors import BillingError

TEXT_LENGTH = 500
BETWEEN_NODES = re.compile(r"citus_internal gpid=(?P<node>[0-9]+)(?P<process>[0-9]{10})")

# All nodes are asked at the same time, by sessions of their own. Such a session begins with the search path
# of its node, where an operator of others could come first. `ts_stat` plans its text only when it runs: after
# the path was set. It returns the words of a tsvector, here one for each finding, at most 2,046 bytes each.
OF_A_NODE = """
SELECT pg_catalog.json_agg(finding.word)
  FROM (SELECT pg_catalog.set_config('search_path', 'pg_catalog, public, pg_temp', true)
        OFFSET 0) AS path (is_set)
 CROSS JOIN LATERAL pg_catalog.ts_stat(CASE WHEN path.is_set IS NOT NULL THEN $of_a_node$
SELECT array_to_tsvector(array_agg(
           json_build_array(left(subject::text, {length}), left(detail, {length}))::text))
  FROM ({query}) AS its (subject, detail)
$of_a_node$ END) AS finding
"""
ASKED = """
SELECT node.nodename || ':' || node.nodeport, coalesce(answer.success, false), answer.result
  FROM pg_catalog.pg_dist_node AS node
  LEFT JOIN pg_catalog.run_command_on_all_nodes(%s) AS answer ON answer.nodeid = node.nodeid
 WHERE node.noderole = 'primary'
 ORDER BY node.nodeid
"""


class OfEachNode(str):
    """A query (subject, detail) that only reads the catalogue of PostgreSQL, and takes no parameters."""

    __slots__ = ()


MISSING_SHARDS = OfEachNode("""
SELECT format('%s_%s', class.relname, shard.shardid), 'a shard that is missing'
  FROM pg_catalog.pg_dist_placement AS placement
  JOIN pg_catalog.pg_dist_shard AS shard USING (shardid)
  JOIN pg_catalog.pg_class AS class ON class.oid = shard.logicalrelid
 WHERE placement.groupid = (SELECT groupid FROM pg_catalog.pg_dist_local_group)
   AND to_regclass(format('public.%I', format('%s_%s', class.relname, shard.shardid))) IS NULL
""")


# The columns of a table that the caller may read.
READABLE = """
SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum)
  FROM pg_catalog.pg_attribute
 WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
   AND pg_catalog.has_column_privilege(attrelid, attnum, 'SELECT')
"""
# What a copy of a table has. Each server has a time zone of its own, which the text of a time depends on.
CONTENT = """
SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
           coalesce(pg_catalog.string_agg(row.words, ',' ORDER BY row.words COLLATE "C"), ''),
           'UTF8')), 'hex')
  FROM (SELECT pg_catalog.set_config('TimeZone', 'UTC', true) OFFSET 0) AS zone (is_set)
 CROSS JOIN LATERAL (
       SELECT its::text AS words FROM (SELECT {columns} FROM %s) AS its
        WHERE zone.is_set IS NOT NULL OFFSET 0) AS row
"""
COPIES = """
SELECT copy.nodename || ':' || copy.nodeport, copy.success, copy.result
  FROM pg_catalog.run_command_on_placements(%s::regclass, %s) AS copy
 ORDER BY copy.nodename, copy.nodeport
"""


class NodeUnreadable(BillingError):
    """Raised if a node of the cluster did not answer, so its catalogue is unknown."""


def answers(query: str) -> dict[str, str]:
    """Return the text that a query gives on each node, by the node's name; a single server has none: "".

    The query returns one text. On a cluster, it runs in sessions of their own. Raises NodeUnreadable.
    """
    with connection.cursor() as cursor:
        if not are_many():
            cursor.execute(query)
            return {"": cursor.fetchone()[0]}
        cursor.execute(ASKED, [query])
        rows = cursor.fetchall()
    for node, succeeded, result in rows:
        if not succeeded:
            reason = result.strip().splitlines()[0] if result else "it is not active"
            raise NodeUnreadable(f"The node {node} could not be asked: {reason}")
    return {node: result for node, _, result in rows}


def findings(query: OfEachNode) -> Iterator[tuple[str, str]]:
    """Yield what the query finds on each node of a cluster, with the node's name. Raises NodeUnreadable."""
    text = OF_A_NODE.replace("{length}", str(TEXT_LENGTH)).replace("{query}", query.replace("%%", "%"))
    for node, result in answers(text).items():
        for finding in json.loads(result or "[]"):
            subject, detail = json.loads(finding)
            yield subject, f"{detail}, on {node}"


def differing_copies(table: str) -> list[str]:
    """Return the nodes whose copy of a reference table is not as most copies. Raises NodeUnreadable.

    It compares the columns that the caller may read. A change that is being committed can be on one node and
    not yet on another.
    """
    with connection.cursor() as cursor:
        cursor.execute(READABLE, [table])
        if (columns := cursor.fetchone()[0]) is None:
            return []
        cursor.execute(COPIES, [table, CONTENT.replace("{columns}", columns)])
        copies = cursor.fetchall()
    for node, succeeded, result in copies:
        if not succeeded:
            said = result.strip().splitlines()[0] if result else "it is not active"
            raise NodeUnreadable(f"The node {node} could not be asked: {said}")
    contents = [content for _, _, content in copies]
    usual = max(contents, key=contents.count, default="")
    return [node for node, _, content in copies if content != usual]


def session_of(application: str) -> tuple[str, int] | None:
    """Return where the client of a session between nodes entered: the node's name, and the process there.

    The application_name of such a session has a number: that of the node, and ten digits for the process.
    """
    found = BETWEEN_NODES.fullmatch(application)
    if found is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nodename || ':' || nodeport FROM pg_catalog.pg_dist_node WHERE nodeid = %s",
            [int(found["node"])],
        )
        row = cursor.fetchone()
    return (row[0] if row else "an unknown node"), int(found["process"])


def own_session() -> tuple[str, int]:
    """Return the same for this connection; a single server has the name ""."""
    with connection.cursor() as cursor:
        if not are_many():
            cursor.execute("SELECT pg_backend_pid()")
            return "", cursor.fetchone()[0]
        cursor.execute(
            "SELECT nodename || ':' || nodeport, pg_backend_pid() FROM pg_catalog.pg_dist_node"
            " WHERE groupid = (SELECT groupid FROM pg_catalog.pg_dist_local_group) AND noderole = 'primary'"
        )
        return cursor.fetchone()


def are_many() -> bool:
    """Return whether the tables of this database are on a cluster."""
    return cluster.is_distributed()
