"""Where a day begins in a wallet's history.

A history is ordered by its sequence. Host clocks differ, so a later entry can carry an earlier time, and
around midnight the two days can alternate. Here the line between two days is a place in the sequence: after
the last entry that was written before midnight. The entries between two such places add up to the difference
of their balances, and one day ends where the next begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from wallet.books.models import Wallet
from wallet.errors import GapInHistory

# How much later than the next entry's time an entry's own time may be.
CLOCKS_APART = timedelta(minutes=5)

# Sequences have no gap, so a binary search finds the place in 20 lookups among a million entries, without an
# index on the time. Times are in order only as far as the clocks agree, so the search aims a little later and
# then walks back. With a LIMIT in its sub-select, each lookup reads one row of the index.
CUTS = """
WITH RECURSIVE search (number, moment, low, high) AS (
    SELECT number, moment, 0::bigint, wallet.entries_count + 1
      FROM wallet_wallet wallet, unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS cut (moment, number)
     WHERE wallet.user_id = %(user_id)s
     UNION ALL
    SELECT search.number, search.moment,
           CASE WHEN middle.early THEN middle.sequence ELSE search.low END,
           CASE WHEN middle.early THEN search.high ELSE middle.sequence END
      FROM search, LATERAL (
           SELECT sequence, created_at < search.moment + %(clocks_apart)s AS early
             FROM wallet_entry
            WHERE wallet_id = %(user_id)s AND sequence = (search.low + search.high) / 2
            LIMIT 1) middle
     WHERE search.high - search.low > 1
)
SELECT coalesce(last.sequence, 0), coalesce(last.balance_after, 0)
  FROM search LEFT JOIN LATERAL (
       SELECT sequence, balance_after
         FROM wallet_entry
        WHERE wallet_id = %(user_id)s AND sequence <= search.low AND created_at < search.moment
        ORDER BY sequence DESC
        LIMIT 1) last ON true
 WHERE search.high - search.low = 1
 ORDER BY search.number
"""


@dataclass(frozen=True)
class Cut:
    """A place in a history: the sequence of the last entry before it, and the balance after that entry."""

    sequence: int
    balance: int


def cuts(user_id: str, moments: Sequence[datetime]) -> list[Cut]:
    """For each moment the place before it, by one query that sees the wallet at one moment.

    Moments in order give places in order. A wallet that does not exist is cut at 0. Raises GapInHistory if an
    entry is missing.
    """
    values: dict[str, Any] = {"user_id": user_id, "moments": list(moments), "clocks_apart": CLOCKS_APART}
    with connection.cursor() as cursor:
        cursor.execute(CUTS, values)
        places = [Cut(*row) for row in cursor.fetchall()]
    if len(places) == len(moments):
        return places
    if Wallet.objects.filter(pk=user_id).exists():
        raise GapInHistory  # The search met a missing entry.
    return [Cut(0, 0)] * len(moments)
