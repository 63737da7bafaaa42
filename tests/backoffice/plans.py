"""The plans of PostgreSQL for the queries of a page: captured during the request, explained after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

LEDGER = "wallet_entry"


@contextmanager
def captured() -> Iterator[list[str]]:
    """The SQL statements of the block. The list is filled when the block ends."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries.captured_queries]


def plans_of(queries: list[str], how: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Each query that reads tables, and the nodes of its plan; `how` "ANALYZE, " runs it."""
    for query in queries:
        if query.lstrip().startswith(("SELECT", "WITH")):
            with connection.cursor() as cursor:
                # The SQL that Django captures includes the values.
                cursor.execute(f"EXPLAIN ({how}FORMAT JSON) {query}")
                (plan,) = cursor.fetchone()
            yield query, list(nodes_of(plan[0]["Plan"]))


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan and all nodes below it."""
    yield node
    for below in node.get("Plans", ()):
        yield from nodes_of(below)


def scans_of(queries: list[str], *tables: str) -> list[tuple[str, str]]:
    """The queries that read one of the tables, by default the ledger, from its beginning to its end."""
    return [
        (table, query)
        for query, nodes in plans_of(queries)
        for table in tables or (LEDGER,)
        if any(node["Node Type"] == "Seq Scan" and node["Relation Name"] == table for node in nodes)
    ]


def rows_read(queries: list[str], table: str = LEDGER) -> Iterator[tuple[str, int]]:
    """Each query that reads a table, and the most rows that one node of its plan reads of it by any way.

    The queries run again for this, so that what is counted is what was read.
    """
    for query, nodes in plans_of(queries, how="ANALYZE, TIMING OFF, "):
        read = [_rows_of(node) for node in nodes if node.get("Relation Name") == table]
        if read:
            yield query, max(read)


def _rows_of(node: dict[str, Any]) -> int:
    counts = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(sum(node.get(name, 0) for name in counts) * node["Actual Loops"])
