"""The wallet's verbs as racing callers use them, each in a thread, and how the calls ended."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import ServiceKey
from foundation.errors import BillingError
from tests.crowd import THREAD_SECONDS_MAX, begin, patiently, wait_until_all_wait
from tests.wallet.entries import sql
from wallet.charges import deductions, give_backs, holds
from wallet.charges.give_backs import Refund
from wallet.charges.holds import Outcome
from wallet.models import Entry, Hold

BLOG, MAIL = (ServiceKey(product=product, prefix=f"wsk_{product}") for product in ("blog", "mail"))
FEATURE = "blog.article.generate"
Outcomes = Sequence[Future[Any]]


def charge(count: int = 1, key: str = "", user_id: str = "usr_1", service: ServiceKey = BLOG) -> Entry:
    facts: dict[str, Any] = {"user_id": user_id, "feature": FEATURE, "count": count, "key": key}
    return patiently(lambda: deductions.deduct(service=service, **facts)).entry


def hold(
    key: str, count: int = 1, user_id: str = "usr_1", service: ServiceKey = BLOG, ttl_seconds: int = 900
) -> Outcome:
    facts: dict[str, Any] = {"user_id": user_id, "feature": FEATURE, "count": count, "key": key}
    return patiently(lambda: holds.authorize(service=service, **facts, ttl_seconds=ttl_seconds))


def capture(hold_id: str, count: int | None = None, user_id: str = "usr_1") -> Hold:
    facts: dict[str, Any] = {"user_id": user_id, "hold_id": hold_id, "count": count}
    return patiently(lambda: holds.capture(service=BLOG, **facts)).hold


def void(hold_id: str, user_id: str = "usr_1", product: str | None = "blog") -> Hold:
    return patiently(lambda: holds.void(user_id=user_id, hold_id=hold_id, product=product)).hold


def extend(hold_id: str, ttl_seconds: int, user_id: str = "usr_1") -> Hold:
    facts: dict[str, Any] = {"user_id": user_id, "hold_id": hold_id, "ttl_seconds": ttl_seconds}
    return patiently(lambda: holds.extend(service=BLOG, **facts)).hold


def refund(key: str, of: dict[str, str], credits: int | None = None, user_id: str = "usr_1") -> Refund:
    facts: dict[str, Any] = {"user_id": user_id, "charge": of, "credits": credits, "key": key}
    return patiently(lambda: give_backs.refund(service=BLOG, **facts))


def at_the_end(table: str, row_id: str, milliseconds: int, call: Callable[[], Any]) -> Any:
    """Call so long after (or before) the end of a hold or a lot, by the database's clock."""
    sql(
        "SELECT pg_sleep(extract(epoch FROM expires_at - clock_timestamp()) + %s / 1000.0)"
        f" FROM {table} WHERE id = %s",
        milliseconds,
        row_id,
    )
    return call()


def errors(outcomes: Outcomes) -> list[Any]:
    """The errors that calls ended with."""
    found: list[Any] = [outcome.exception() for outcome in outcomes]
    return [error for error in found if error is not None]


def kinds(outcomes: Outcomes) -> Counter[str]:
    """How often each kind of outcome came: the name of an error, or "done"."""
    assert all(isinstance(error, BillingError) for error in errors(outcomes)), errors(outcomes)
    ends = [outcome.exception() for outcome in outcomes]
    return Counter("done" if error is None else type(error).__name__ for error in ends)


def waiting_callers(
    change: Callable[[], Any],
    wait_with: str = 'UPDATE "wallet_wallet"',
    calls: Sequence[Callable[[], Any]] = (),
) -> Outcomes:
    """Change a wallet in a transaction, while callers wait with their first update; the outcomes.

    Without `calls`, there are five charges and five holds of one credit.
    """
    five = range(5)
    calls = calls or [partial(charge, 1, f"a:{n}") for n in five] + [partial(hold, f"c:{n}", 1) for n in five]
    with transaction.atomic():
        change()
        callers = [begin(call) for call in calls]
        waiting = wait_until_all_wait(len(callers))
        assert all(query.startswith(wait_with) for query in waiting), waiting
    for caller in callers:
        caller.exception(timeout=THREAD_SECONDS_MAX)
    return callers
