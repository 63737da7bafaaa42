"""Small lawful books, and the same without triggers, for tests that break them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import ServiceKey
from tests.wallet import by_hand
from tests.wallet.clock import Clock
from tests.wallet.granted import A_DAY, grant, set_budget, void
from tests.wallet.resting import rest
from tests.wallet.reversed import take_back
from wallet.books import laws
from wallet.charges import debits, deductions, give_backs, holds
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
    by_hand.give_back(entry=charge, credits=1, reason="It failed.", key="refund-1", actor="user:staff:1")
    give("usr_2", 5, session_id="cs_test_2")
    assert laws.violations() == []


@pytest.fixture
def lawless(books: None) -> None:
    """Triggers rest until the end of the test's transaction."""
    connection.check_constraints()  # What is due from before; a table with open business cannot be altered.
    rest()


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
    rest()


@pytest.fixture
def granted_books(give: Callable[..., Entry], article_rate: str) -> dict[str, str]:
    """Books with lots and budgets at midnight of 1 January 2020, and what the tests call their rows.

    usr_1: 30 from a checkout. The lots A (of the blog, 10), B (of staff, 9) and C (of the blog, 4), in the
    order of their ends; C was taken back. A charge of 12 took all of A and 2 of B, and 1 of it came back. Of
    two holds of 3, from B, one is open and one was captured. The user's budget of a day and the blog's of a
    month count all that.
    usr_2: a debt of 2 paid credits, beside the lot D (of mail, 3).
    """
    Clock()
    rows = {"topup": give("usr_1", 30, session_id="cs_test_1").pk}
    lots = {
        "A": grant("usr_1", 10, lasts=1 * A_DAY),
        "B": grant("usr_1", 9, lasts=2 * A_DAY, product=""),
        "C": grant("usr_1", 4, lasts=3 * A_DAY),
    }
    void(lots["C"])
    set_budget(100)
    set_budget(1000, set_by="product", product="blog", period="month")
    request: dict[str, Any] = {"service": BLOG, "user_id": "usr_1", "feature": article_rate}
    charge = deductions.deduct(**request, count=12, key="charge").entry
    give_backs.refund(service=BLOG, user_id="usr_1", charge={"pk": charge.pk}, credits=1, key="refund")
    rows["open"] = holds.authorize(**request, count=3, ttl_seconds=900, key="open").hold.pk
    rows["captured"] = holds.authorize(**request, count=3, ttl_seconds=900, key="captured").hold.pk
    holds.capture(service=BLOG, user_id="usr_1", hold_id=rows["captured"])
    payment = give("usr_2", 5, session_id="cs_test_2")
    deductions.deduct(**request | {"user_id": "usr_2"}, count=2, key="paid")
    take_back(payment)
    lots["D"] = grant("usr_2", 3, product="mail")
    assert laws.violations() == []
    connection.check_constraints()
    for name, lot in lots.items():
        rows |= {name: lot.pk, f"grant of {name}": lot.entry_id}
    kinds = {"charge": "deduct", "refund": "refund", "capture": "capture", "expiry": "expiry"}
    return rows | {name: Entry.objects.get(wallet_id="usr_1", kind=kind).pk for name, kind in kinds.items()}


@pytest.fixture
def granted_lawless(granted_books: dict[str, str]) -> dict[str, str]:
    """The same, and triggers rest until the end of the test's transaction."""
    rest()
    return granted_books
