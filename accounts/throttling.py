"""Rate limits with fixed windows. PostgreSQL counts the requests, so the limit is exact across all processes.

DRF's own throttle reads and writes a cache without a lock: 640 of 640 parallel requests passed when the limit
was 200.
"""

import hashlib
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

WINDOW_SECONDS = 60

# This statement runs in its own transaction. A refused request is not counted (contract 15). The window
# depends on the database's clock, not on the process's clock. If another request has already started the next
# window, a late request of the old window counts in the next window.
HIT = """
INSERT INTO accounts_ratecounter AS counter (bucket, "window", hits)
VALUES (%(bucket)s, floor(extract(epoch FROM clock_timestamp()) / %(seconds)s), 1)
ON CONFLICT (bucket) DO UPDATE
   SET hits = CASE WHEN counter."window" < excluded."window" THEN 1 ELSE counter.hits + 1 END,
       "window" = GREATEST(counter."window", excluded."window")
 WHERE counter."window" < excluded."window" OR counter.hits < %(limit)s
RETURNING hits, "window"
"""
NOW = "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint"


@dataclass(frozen=True)
class Count:
    """Whether a request is allowed, and how many requests the caller has left in this window."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int  # When the window ends, in Unix seconds.
    wait_seconds: int = 0  # For a refused request: seconds until the window ends, at least 1.


def hit(*facts: str, limit: int) -> Count:
    """Count one request in the current window, unless it is full. Each list of `facts` has its own count."""
    # The length of each fact is included, so that different lists of facts never have the same bucket.
    named = "".join(f"{len(fact)}:{fact}" for fact in facts)
    values: dict[str, str | int] = {
        "bucket": hashlib.sha256(named.encode()).hexdigest(),
        "seconds": WINDOW_SECONDS,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(HIT, values)
        if counted := cursor.fetchone():
            hits, window = counted
            return Count(True, limit, limit - hits, (window + 1) * WINDOW_SECONDS)
        cursor.execute(NOW)
        (now,) = cursor.fetchone()
    reset_at = (now // WINDOW_SECONDS + 1) * WINDOW_SECONDS
    return Count(False, limit, 0, reset_at, wait_seconds=reset_at - now)


class WindowThrottle(BaseThrottle):
    """Counts authenticated requests. A subclass sets the scope, the limit and how a caller is identified."""

    scope: str
    limit_setting: str  # The setting with the allowed requests per window; 0 means no limit.
    tells = False  # Whether every answer says how many requests are left.

    def facts(self, request: Request) -> tuple[str, ...] | None:
        """Return the facts that identify the caller; None if the request is not authenticated."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView) -> bool:
        facts, limit = self.facts(request), getattr(settings, self.limit_setting)
        if facts is None or not limit:
            return True
        count = hit(self.scope, *facts, limit=limit)
        self._wait_seconds = count.wait_seconds
        if self.tells:
            view.rate_limit_headers = {  # type: ignore[attr-defined]
                "X-RateLimit-Limit": str(count.limit),
                "X-RateLimit-Remaining": str(count.remaining),
                "X-RateLimit-Reset": str(count.reset_at),
            }
        return count.allowed

    def wait(self) -> float | None:
        return self._wait_seconds
