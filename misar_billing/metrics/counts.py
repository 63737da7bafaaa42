"""What each worker counts. A label has one of few values: names of routes and products, never of users."""

from functools import cache
from typing import Any

import psycopg
from django.db.backends.signals import connection_created
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from foundation.database import standby
from foundation.database.engine import base

# When a count began. Prometheus notices by itself if a count falls.
disable_created_metrics()

# The budget of a request is 3 seconds, of a batch 8.
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

CHARGES = Counter(
    "misar_charges",
    "Charges and holds that products asked for. allowed: made. replayed: an earlier answer was repeated. "
    "denied: too few credits, a budget, or a frozen wallet. refused: the request was wrong. failed: a fault "
    "or an outage of ours.",
    ["endpoint", "product", "outcome", "reason"],
)
CHARGE_SECONDS = Histogram(
    "misar_charge_duration_seconds",
    "Time from a request to charge or to hold until its answer. answered: status 200. refused: 4xx. "
    "failed: 5xx.",
    ["endpoint", "outcome"],
    buckets=BUCKETS,
)
REQUESTS = Counter("misar_http_requests", "Requests that were answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "misar_http_request_duration_seconds",
    "Time from a request until its answer, in the application.",
    ["method", "route"],
    buckets=BUCKETS,
)
IN_PROGRESS = Gauge(
    "misar_http_requests_in_progress",
    "Requests that the workers are working on now.",
    multiprocess_mode="livesum",
)
THREADS = Gauge(
    "misar_web_threads", "Threads that serve requests, of all workers.", multiprocess_mode="livesum"
)
DATABASE_ERRORS = Counter("misar_database_errors", "Errors of the database, by their kind.", ["kind"])
CONNECTIONS = Counter("misar_database_connections_opened", "Connections to the database that were opened.")
STANDBY_READS = Counter(
    "misar_standby_reads",
    "Reads that the standby may answer. answered: it did. Otherwise the primary answered. late: the standby "
    "had not replayed enough. foreign: it follows another primary, or none any more. failed: it could not be "
    "used. cancelled: it did not finish a statement. skipped: it was late, foreign or failed moments ago.",
    ["outcome"],
)

# The kinds of errors, by the first two characters of PostgreSQL's code.
KINDS = {
    "08": "connection",
    "22": "data",
    "23": "constraint",
    "25": "read_only",
    "40": "rolled_back",
    "42": "statement",
    "53": "resources",
    "55": "lock",
    "57": "cancelled",
    "58": "system",
}


@cache
def charges_of(endpoint: str, product: str, outcome: str, reason: str) -> Any:
    """Return the counter of these charges. `labels` alone would cost more than the counting."""
    return CHARGES.labels(endpoint, product, outcome, reason)


@cache
def charge_seconds_of(endpoint: str, outcome: str) -> Any:
    return CHARGE_SECONDS.labels(endpoint, outcome)


def requests_of(method: str, route: str, status: int) -> tuple[Any, Any]:
    """Return the counter and the histogram of these requests."""
    return _requests_of(method if method in METHODS else "other", route, status)


@cache
def _requests_of(method: str, route: str, status: int) -> tuple[Any, Any]:
    """Return the same for a method of few. A caller can make up methods, and each would stay in memory."""
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(method, route)


def count_database_error(error: psycopg.Error) -> None:
    code = error.sqlstate
    kind = KINDS.get(code[:2], "other") if code else "connection"
    DATABASE_ERRORS.labels(kind).inc()


def _count_connection(**_: Any) -> None:
    CONNECTIONS.inc()


def _count_standby_read(outcome: str) -> None:
    STANDBY_READS.labels(outcome).inc()


def connect() -> None:
    """Count what the database reports, from now on."""
    connection_created.connect(_count_connection, dispatch_uid="misar_billing.metrics")
    base.DatabaseWrapper.on_error = staticmethod(count_database_error)
    standby.on_outcome = _count_standby_read
    for outcome in standby.OUTCOMES:
        STANDBY_READS.labels(outcome)
