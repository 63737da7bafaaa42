"""The last requests of each API key, for its owner to read (decision 0051).

A request is recorded after its answer was sent, so no caller waits for it. One that cannot be recorded soon
is left out. Requests with service keys are not recorded: charges are too many, and have a history.
"""

import logging
import time
from collections import Counter, deque
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.db import Error, connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.key_secrets import SECRET_LENGTH, digest_of
from accounts.models import ApiKey, KeyRequest
from foundation import deadlines
from foundation.errors import first_line

logger = logging.getLogger(__name__)

KEPT_OF_A_KEY = 100
KEPT = timedelta(days=7)
FORGOTTEN_AT_ONCE = 1000

# How many requests a process records in a minute, so that a flood of requests writes no flood of rows:
# requests of one key; of these, requests that were refused because there were too many; and in all, requests
# whose key was not accepted or not looked at. The key of the last ones is still to be found.
OF_A_KEY_MAX = 100
TOO_MANY_OF_A_KEY_MAX = 20
UNPROVEN_MAX = 100

WAIT_SECONDS_MAX = 0.25
# After an error, a process records nothing for this long.
REST_SECONDS = 60.0
# So many requests that were answered with 503 wait in a process until one can be recorded.
WAITING_MAX = 100

# All of it is one transaction, sent at once. It waits for no disk and no standby: a crash of PostgreSQL may
# lose the requests of the last second.
LIMITS = "SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = %(milliseconds)s;"
RECORD = """
INSERT INTO accounts_keyrequest (id, key_id, arrived_at, method, path, status, request_id)
VALUES (%(id)s, %(key)s, %(arrived_at)s, %(method)s, %(path)s, %(status)s, %(request_id)s);
DELETE FROM accounts_keyrequest
 WHERE key_id = %(key)s
   AND arrived_at < (SELECT arrived_at FROM accounts_keyrequest WHERE key_id = %(key)s
                      ORDER BY arrived_at DESC OFFSET %(kept)s - 1 LIMIT 1)
"""

_minute = 0
_counted: Counter[object] = Counter()
_rests_until = float("-inf")
# The newest of them, each with the digest of its secret.
_waiting: deque[tuple[KeyRequest, str]] = deque(maxlen=WAITING_MAX)


def note(request: KeyRequest, *, secret: str) -> None:
    """Record this request, whose answer was sent, and forget those of its key that are too many.

    `request.key_id` is None if the service did not accept the key. Then the owner of a key that was revoked,
    or has expired, or was sent to a wrong address, is found by its secret. If there is none, or if the limits
    or the database do not allow it, nothing is recorded.

    After a 503 the database is out of reach, or accepts no changes. Then the request waits in this process
    for the next one that has another answer.
    """
    global _rests_until
    if request.status == HTTPStatus.SERVICE_UNAVAILABLE:
        digest = _digest_of(secret)
        if (request.key_id or digest) and _has_room(request):
            _waiting.append((request, digest))
        return
    if time.monotonic() < _rests_until or not _has_room(request):
        return
    try:
        with deadlines.within(4 * WAIT_SECONDS_MAX):
            _record(request, _digest_of(secret))
            with suppress(IndexError):  # Another thread may have taken the last one.
                while _waiting:
                    _record(*_waiting.popleft())
    except Error as error:
        if connection.in_atomic_block:
            raise  # The transaction is lost.
        _rests_until = time.monotonic() + REST_SECONDS
        logger.warning("Requests of API keys are not recorded for a minute: %s", first_line(error))


def recent(key: ApiKey, *, errors_only: bool = False) -> QuerySet[KeyRequest]:
    """Return the last requests of a key, at most KEPT_OF_A_KEY of the last KEPT, newest first."""
    kept = KeyRequest.objects.filter(key=key, arrived_at__gt=timezone.now() - KEPT)
    if errors_only:
        kept = kept.filter(status__gte=400)
    return kept.order_by("-arrived_at")[:KEPT_OF_A_KEY]


def forget(key: ApiKey) -> int:
    """Delete all recorded requests of a key. Return how many."""
    return KeyRequest.objects.filter(key=key).delete()[0]


def forget_old() -> int:
    """Delete the requests that are older than KEPT. Return how many."""
    old = KeyRequest.objects.filter(arrived_at__lte=timezone.now() - KEPT).order_by("arrived_at")
    forgotten = 0
    # Few rows a statement, because a longer statement would reach its timeout.
    while count := KeyRequest.objects.filter(pk__in=old.values("pk")[:FORGOTTEN_AT_ONCE]).delete()[0]:
        forgotten += count
    return forgotten


def _has_room(request: KeyRequest) -> bool:
    """Count the request in this minute of this process. Return whether it may be recorded."""
    global _minute
    # Threads may count at the same time, and then a count may be wrong by one.
    if _minute != (minute := int(time.monotonic() / 60)):
        _minute = minute
        _counted.clear()
    if request.key_id is None:
        counted, limit = None, UNPROVEN_MAX
    else:
        is_too_many = request.status == 429
        counted = (request.key_id, is_too_many)
        limit = TOO_MANY_OF_A_KEY_MAX if is_too_many else OF_A_KEY_MAX
    _counted[counted] += 1
    return _counted[counted] <= limit


def _digest_of(secret: str) -> str:
    """Return the digest of a secret; "" if no key can have this secret, so that none is looked for."""
    return digest_of(secret) if len(secret) == SECRET_LENGTH else ""


def _record(request: KeyRequest, digest: str) -> None:
    key_id = request.key_id
    if key_id is None and digest:
        key_id = ApiKey.objects.filter(digest=digest).values_list("pk", flat=True).first()
    if key_id is None:
        return
    values: dict[str, Any] = {
        "id": request.pk,
        "key": key_id,
        "arrived_at": request.arrived_at,
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "request_id": request.request_id,
        "kept": KEPT_OF_A_KEY,
        "milliseconds": int(WAIT_SECONDS_MAX * 1000),
    }
    with connection.cursor() as cursor:
        cursor.execute(RECORD if connection.in_atomic_block else LIMITS + RECORD, values)
