"""Small lawful books, and the same without triggers, for tests that break them."""

from collections.abc import Callable

import pytest
from django.db import connection

from tests.wallet.entries import sql
from wallet.books import laws
from wallet.charges import debits, give_backs
from wallet.models import Entry


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
