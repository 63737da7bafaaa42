"""Find the place in a wallet's history where a day begins.

Entries are sorted by their sequence, and their times never fall (migrations/several_entries.sql). So the
entries of a day are one range of the sequence, and they always add up to the difference between two balances.

Entries that are older than this rule carry the times of hosts with different clocks. Around a midnight of
that time, entries of both days can be mixed. There a day begins directly after the last entry with a time
before midnight, and the previous day ends at the same place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from wallet.books.models import Wallet
from wallet.errors import GapInHistory

# An old entry may carry a time that is later than the time of the next entry, by at most this much.
CLOCKS_APART = timedelta(minutes=5)

# This is a binary search over the sequence, which has no gap. It needs about 20 lookups in a million entries
# and no index on the time. Old times may be out of order by CLOCKS_APART. So the search looks for the wanted
# time plus CLOCKS_APART. Then it goes back to the last entry before the wanted time. The LIMIT in the
# sub-select makes each lookup read only one row of the index.
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
    """A place between two entries of a history.

    `sequence` is the number of the last entry before the place, and `balance` is the balance after this
    entry.
    """

    sequence: int
    balance: int


def cuts(user_id: str, moments: Sequence[datetime]) -> list[Cut]:
    """Return one place for each moment: after the last entry that was written before this moment.

    One query finds all places in one snapshot. If the moments are in order, the places are in order too. If
    the wallet does not exist, all places have the sequence 0 and the balance 0. Raises GapInHistory if an
    entry is missing.
    """
    with connection.cursor() as cursor:
        cursor.execute(CUTS, cut_values(user_id, moments))
        places = [Cut(*row) for row in cursor.fetchall()]
    if len(places) == len(moments):
        return places
    if Wallet.objects.filter(pk=user_id).exists():
        raise GapInHistory  # The search did not find an entry that must exist.
    return [Cut(0, 0)] * len(moments)


def cut_values(user_id: str, moments: Sequence[datetime]) -> dict[str, Any]:
    """Return the values of the parameters of CUTS."""
    return {"user_id": user_id, "moments": list(moments), "clocks_apart": CLOCKS_APART}
