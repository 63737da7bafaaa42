"""Small lawful books, and the same without triggers, for tests that break them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import ServiceKey
from tests.wallet.entries import sql
from tests.wallet.reversed import take_back
from wallet.books import laws
from wallet.charges import debits, give_backs, holds
from wallet.models import Entry, Hold

BLOG = ServiceKey(product="blog", prefix="wsk_blog")


@pytest.fixture
def books(give: Callable[..., Entry], article_rate: str) -> None:
    """usr_1: 10 from a checkout, a charge of 4, 1 of it given back. usr_2: 5 from a checkout."""
    give("usr_1", 10, session_id="cs_test_1")
    charge = debits.debit(
        user_id="usr_1",
        credits=4,
        kind=Entry.Kind.DEDUCT,
        actor="service:wsk_test",
        feature=article_rate,
        count=4,
        product="blog",
    )
    give_backs.give_back(entry=charge, credits=1, reason="It failed.", key="refund-1", actor="user:staff:1")
    give("usr_2", 5, session_id="cs_test_2")
    assert laws.violations() == []


@pytest.fixture
def lawless(books: None) -> None:
    """Triggers rest until the end of the test's transaction."""
    connection.check_constraints()  # What is due from before; a table with open business cannot be altered.
    sql("SET LOCAL session_replication_role = replica")


@pytest.fixture
def held_books(give: Callable[..., Entry], article_rate: str) -> None:
    """usr_1: 40 credits, of which open holds have 7 and 5; two holds ended. usr_2: a debt of 6.

    usr_1's capture of 3 of 5 units was given back by 1. usr_2's capture is of a hold whose payment was
    disputed before.
    """

    def authorize(key: str, count: int, user_id: str = "usr_1", ttl_seconds: int = 900) -> Hold:
        facts: dict[str, Any] = {"feature": article_rate, "count": count, "ttl_seconds": ttl_seconds}
        return holds.authorize(service=BLOG, user_id=user_id, key=key, **facts).hold

    give("usr_1", 42, session_id="cs_test_1")
    five = authorize("captured", 5)
    holds.capture(service=BLOG, user_id="usr_1", hold_id=five.pk, count=3)
    holds.void(user_id="usr_1", hold_id=authorize("voided", 6).pk, product="blog")
    authorize("open", 7)
    authorize("longer", 5, ttl_seconds=9000)
    give_backs.refund(service=BLOG, user_id="usr_1", charge={"hold_id": five.pk}, credits=1, key="undo")
    payment = give("usr_2", 10, session_id="cs_test_2")
    six = authorize("covered", 6, user_id="usr_2")
    take_back(payment)
    holds.capture(service=BLOG, user_id="usr_2", hold_id=six.pk)
    assert laws.violations() == []
    connection.check_constraints()


@pytest.fixture
def held_lawless(held_books: None) -> None:
    """The same, and triggers rest until the end of the test's transaction."""
    sql("SET LOCAL session_replication_role = replica")
