"""How much longer a creator's reads take with a long history: a short and a long one are read in turn."""

import http.client
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from statistics import median
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection

from accounts import api_keys
from accounts.models import User
from accounts.signing_in.sessions import SIGNED_IN_AT
from bench.plan import FEW, LONG, SHORT, History
from foundation.database.patience import patient
from monetization.days import closing

# Read with the creator's key, and below in the creator's browser.
PATHS = {
    "stats": "/mail/v1/monetization/stats",
    "tips, the first page of 100": "/mail/v1/monetization/tips?limit=100",
    "subscriptions, the first page of 100": "/mail/v1/monetization/subscriptions?limit=100",
    "sponsors": "/mail/v1/monetization/sponsors",
}
PAGES = {
    "the dashboard's overview, compared with 20 tips and 2 subscriptions": "/dashboard",
    "the same over all time": "/dashboard?range=all",
}


@dataclass
class Timing:
    """What is read, and how many milliseconds each read took with short data and with long data."""

    title: str
    path: str
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {"short": [], "long": []})

    @property
    def short_ms(self) -> float:
        return median(self.milliseconds["short"])

    @property
    def long_ms(self) -> float:
        return median(self.milliseconds["long"])

    @property
    def ratio(self) -> float:
        """How many times longer a read takes with long data."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        return {"short_ms": self.short_ms, "long_ms": self.long_ms, "ratio": self.ratio}


@dataclass
class Reading(Timing):
    """A creator's read. `headers` are those of the creator with the short history and with the long one."""

    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring reads, which were taken in turn."""
        pairs = zip(self.milliseconds["long"], self.milliseconds["short"], strict=True)
        return median(long / short for long, short in pairs)


def read(
    address: tuple[str, int], times: int, *, long: History = LONG, on_read: Callable[[], None] = lambda: None
) -> list[Reading]:
    """Fill the histories, then read short and long in turn, so noise on the machine affects both alike."""
    with patient():
        few, short, longer = (filled(history) for history in (FEW, SHORT, long))
        closing.close_days()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
    keys = {"short": with_a_key(short), "long": with_a_key(longer)}
    browsers = {"short": session_of(few), "long": session_of(longer)}
    readings = [Reading(title, path, headers=keys) for title, path in PATHS.items()]
    readings += [Reading(title, path, headers=browsers) for title, path in PAGES.items()]
    caller = http.client.HTTPConnection(*address, timeout=30)
    for number in range(times + 1):
        for reading in readings:
            for name, headers in reading.headers.items():
                milliseconds = timed(caller, reading.path, headers)
                if number:  # The first round warms caches and connections.
                    reading.milliseconds[name].append(milliseconds)
        on_read()
    caller.close()
    return readings


def timed(
    caller: http.client.HTTPConnection, path: str, headers: dict[str, str], body: str | None = None
) -> float:
    """Milliseconds of one GET, or of a POST if there is a body, from the request to the last byte."""
    began = time.perf_counter()
    caller.request("GET" if body is None else "POST", path, body, headers)
    answer = caller.getresponse()
    answer.read()
    assert answer.status == http.client.OK, (path, answer.status)
    return (time.perf_counter() - began) * 1000


def with_a_key(creator: User) -> dict[str, str]:
    """The header of a new key with which a creator reads."""
    _, secret = api_keys.issue(owner=creator, name="bench", scopes=["read"], within_limit=False)
    return {"Authorization": f"Bearer {secret}"}


def session_of(user: User, *, also: Callable[[Any], None] = lambda session: None) -> dict[str, str]:
    """The cookie of a signed-in user; `also` may put more into the session."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = user.pk
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[SIGNED_IN_AT] = time.time()
    also(session)
    session.create()
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session.session_key}"}


def filled(history: History) -> User:
    """A creator with this history, spread evenly over the last year."""
    creator = User.objects.create_user(f"usr_{history.name}_history")
    with connection.cursor() as cursor:
        values = asdict(history) | {"creator": creator.pk}
        for statement in (TIPS, SUBSCRIPTIONS, EVENTS):
            cursor.execute(statement, values)
    return creator


TIPS = """
INSERT INTO monetization_tip (id, creator_id, gross_cents, fee_cents, net_cents, fee_bps, plan, currency,
       refunded_cents, fee_returned_cents, email, reader, name, message, created_at)
SELECT 'tip_' || %(name)s || n, %(creator)s, 500, 25, 475, 500, 'free', 'USD', 0, 0,
       'r' || n %% 5000 || '@example.com', 'r' || n %% 5000 || '@example.com', 'Reader', 'Thank you',
       now() - interval '365 days' * n / %(tips)s
  FROM generate_series(1, %(tips)s) AS n
"""
SUBSCRIPTIONS = """
INSERT INTO monetization_subscription (id, creator_id, subscriber_email, reader, plan, interval,
       amount_cents, currency, yearly_cents, status, created_at)
SELECT 'sub_' || %(name)s || n, %(creator)s, 'r' || n || '@example.com', 'r' || n || '@example.com',
       'monthly', 'month', 799, 'USD', CASE WHEN n %% 10 = 0 THEN 0 ELSE 9588 END,
       CASE WHEN n %% 10 = 0 THEN 'cancelled' WHEN n %% 10 = 1 THEN 'past_due' ELSE 'active' END,
       now() - interval '365 days' * n / %(subscriptions)s
  FROM generate_series(1, %(subscriptions)s) AS n
"""
EVENTS = """
INSERT INTO monetization_subscriptionevent (subscription_id, creator_id, kind, status, plan, amount_cents,
       currency, yearly_cents_delta, occurred_at, created_at)
SELECT id, creator_id, kind, event_status, plan, amount_cents, currency, delta, created_at, created_at
  FROM monetization_subscription
 CROSS JOIN LATERAL (
       VALUES ('created', 'active', 9588::bigint), (status, status, yearly_cents - 9588)
  ) AS event (kind, event_status, delta)
 WHERE creator_id = %(creator)s AND (kind = 'created' OR status <> 'active')
 ORDER BY id, kind = 'created' DESC
"""
