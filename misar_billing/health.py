"""`GET /health`: whether the service can take work, also work that writes."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from foundation import deadlines

# How long an answer is given again without asking the database.
REMEMBERED_SECONDS = 1.0
# PostgreSQL refuses a connection by a sentence alone.
NO_CONNECTION_LEFT = ("too many clients", "too many connections", "connection slots")

_migrated = False


def answer_health(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: answer /health with 200, or with 503 and a reason.

    It runs before the host check and the redirect to https, because a probe uses neither our host name nor
    TLS.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path != "/health":
            return get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return JsonResponse({"error": "Method not allowed"}, status=405, headers={"Allow": "GET, HEAD"})
        status, body = answer()
        return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})

    return middleware


def answer() -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an answer to /health."""
    found = _probe.findings()
    if found.trouble:
        return 503, {"status": "unavailable", "reason": found.trouble}
    if found.down:
        return 200, {"status": "ok", "down": list(found.down)}
    return 200, {"status": "ok"}


@dataclass(frozen=True)
class Findings:
    """Why the database cannot be written to, in a few words, and which other nodes of a cluster are down."""

    trouble: str | None = None
    down: tuple[str, ...] = ()


# The database is asked to write, and to make it as durable as a charge. The numbers need more memory than
# they get, so the server writes them to the disk of the books. The message goes to the write-ahead log alone.
READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on', to_regclass('wallet_wallet') IS NOT NULL"
WRITE = """
SET LOCAL work_mem = '64kB';
SELECT count(*) FROM generate_series(1, 20000);
SELECT pg_logical_emit_message(true, 'misar_billing', 'health');
"""
# On a cluster, all of that is asked of the node that this process enters. The others are asked by that node,
# each for a second at most. The wallets that they do not have go on without them, so this is no trouble. The
# answer names no address, because /health is public: a worker's number is its groupid in pg_dist_node.
IS_CLUSTER = "SELECT to_regclass('pg_catalog.pg_dist_node') IS NOT NULL"
# The limit ends with the transaction: behind a pooler, the session goes to another client.
DOWN = """
SET LOCAL citus.node_connection_timeout = '1s';
SELECT CASE groupid WHEN 0 THEN 'coordinator' ELSE 'worker ' || groupid END
  FROM pg_catalog.pg_dist_node
 WHERE isactive AND noderole = 'primary' AND groupid <> (SELECT groupid FROM pg_catalog.pg_dist_local_group)
   AND NOT citus_check_connection_to_node(nodename, nodeport)
 ORDER BY groupid
"""


class _Probe:
    """Asks the database whether it can be written to, at most once in REMEMBERED_SECONDS in each process.

    Many callers at once cost no more than one: while one asks, the others get the last answer, unless it is
    old.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._findings = Findings()

    def findings(self) -> Findings:
        is_recent = time.monotonic() - self._asked_at < REMEMBERED_SECONDS + deadlines.REQUEST_SECONDS
        if self._lock.acquire(blocking=not is_recent):
            try:
                if time.monotonic() - self._asked_at >= REMEMBERED_SECONDS:
                    self._findings = _asked()
                    self._asked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._findings


_probe = _Probe()


def _asked() -> Findings:
    """Write to the database, through a connection of its own: the other threads may have the last ones."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with deadlines.within(deadlines.REQUEST_SECONDS), closing(own), own.cursor() as cursor:
            cursor.execute(READ_ONLY)
            read_only, has_books = cursor.fetchone()
            if read_only:
                return Findings("the database is read-only")
            if not has_books or not is_migrated(own):
                return Findings("the database is behind the code; run migrate")
            cursor.execute(WRITE)
            return Findings(down=_down(cursor))
    except (DatabaseError, InterfaceError) as error:
        return Findings(_in_words(error))


def _down(cursor: Any) -> tuple[str, ...]:
    """Return the nodes of the cluster that cannot be reached. A single server has none."""
    cursor.execute(IS_CLUSTER)
    if cursor.fetchone() != (True,):
        return ()
    try:
        cursor.execute(DOWN)
        cursor.nextset()
        return tuple(name for (name,) in cursor.fetchall())
    except DatabaseError:
        return ("several nodes",)  # So many that they could not all be asked in time.


def _in_words(error: Exception) -> str:
    if isinstance(error.__cause__, psycopg.errors.DiskFull):
        return "the disk of the database is full"
    if any(words in str(error) for words in NO_CONNECTION_LEFT):
        return "the database has no connection left"
    return "the database is out of reach"


def is_migrated(connection: Any) -> bool:
    """Return whether every migration of this code is applied. A True result is kept for later calls."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
