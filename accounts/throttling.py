"""Rate limits: fixed windows counted in PostgreSQL, so that they are exact across all worker processes.

DRF's own throttle reads and writes a cache without a lock: 640 of 640 parallel requests passed where 200
were allowed.
"""

import hashlib
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

WINDOW_SECONDS = 60

# One statement, committed alone. A refused request does not count (contract 15). The window follows the
# database's clock, not the process's. A request that comes late to a closed window counts in the next one.
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
    """How many requests a caller has left in this window."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: int  # When the window ends, in Unix seconds.
    wait_seconds: int = 0  # Until then, at least 1, for a request that was refused.


def hit(*facts: str, limit: int) -> Count:
    """Count one request of the caller that `facts` name in the current window, unless the window is full."""
    # With the length of each fact, no two lists of facts share a bucket.
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
    """Counts authenticated requests; a subclass names the scope, the limit and the caller."""

    scope: str
    limit_setting: str  # The setting with the requests that a window allows; 0 for no limit.
    tells = False  # Whether every answer says how many requests are left.

    def facts(self, request: Request) -> tuple[str, ...] | None:
        """What names the caller; None for a request that is not authenticated."""
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
