"""How laws are read: by cursor, and only the rows of the wallets that are looked at."""

import re
from typing import Any

import pytest
from django.db import connection

from foundation.operators import snapshot
from tests.wallet.entries import sql
from wallet.books import laws

OF_WALLETS = re.compile(
    r"\b(?:FROM|JOIN) (wallet_(?:entry|hold|holdpart|lot|lotmove|budget))\b(?: (?!WHERE)(\w+))?"
)


@pytest.mark.parametrize("law", laws.LAWS_OF_WALLETS)
def test_a_law_of_wallets_names_the_wallets_for_each_table(law):
    """Otherwise PostgreSQL may read the rows of all wallets for each thousand wallets."""
    query = laws.LAWS_OF_WALLETS[law]
    for _, alias in OF_WALLETS.findall(query):
        column = f"{alias}.wallet_id" if alias else "wallet_id"
        named = rf"(?<![.\w]){column} > %\(after\)s AND {column} <= %\(last\)s"
        # Or it is read once for each row of one that is named.
        of_a_row = rf"(?<![.\w]){column} = [bem]\.wallet_id"
        assert re.search(named, query) or re.search(of_a_row, query), alias


@pytest.mark.django_db(transaction=True)
def test_violations_are_read_through_a_cursor():
    with snapshot():
        violations: Any = laws.broken("A law", "SELECT n, 'wrong' FROM generate_series(1, 1000000) n", {})
        assert next(violations).subject == "1"
        assert sql("SELECT count(*) FROM pg_cursors") == [(1,)]
        violations.close()
        assert sql("SELECT count(*) FROM pg_cursors") == [(0,)]
    assert connection.get_autocommit()
