"""The readers who gave a creator the most."""

from dataclasses import dataclass
from typing import Any

from accounts.models import User
from monetization.figures import by_mailbox
from monetization.figures.periods import Period
from monetization.models import Tip
from monetization.privacy.placeholders import is_erased

ANONYMOUS = "Anonymous"
ERASED = "Erased reader"


@dataclass(frozen=True)
class Supporter:
    """One reader's tips in a period, in the currency's smallest unit.

    `label` is the latest name that the reader gave, or their address if they gave no name. It is "Anonymous"
    for tips without an address, and "Erased reader" if the reader was erased. `email` is the address as the
    reader wrote it for their latest tip; it is "" for anonymous and erased readers. `total_cents` is gross
    minus all refunds of these tips. All tips without an address count as one supporter. Tips are never merged
    by name.
    """

    label: str
    email: str
    tips: int
    total_cents: int


# `largest` finds the supporters. `latest` reads the tips of these few supporters again, to find their latest
# name and address.
TOP = """
WITH largest AS (
    SELECT coalesce(mailbox, reader) AS reader, count(*) AS tips,
           sum(gross_cents - refunded_cents)::bigint AS total
      FROM monetization_tip
     WHERE creator_id = %(creator)s AND currency = %(currency)s
       AND created_at >= %(since)s AND created_at < %(until)s
     GROUP BY coalesce(mailbox, reader)
    HAVING sum(gross_cents - refunded_cents) > 0
     ORDER BY total DESC, reader
     LIMIT %(limit)s
), latest AS (
    SELECT coalesce(mailbox, reader) AS reader,
           (array_agg(name ORDER BY created_at DESC, id DESC) FILTER (WHERE name <> ''))[1] AS name,
           (array_agg(email ORDER BY created_at DESC, id DESC))[1] AS email
      FROM monetization_tip
     WHERE creator_id = %(creator)s AND currency = %(currency)s
       AND created_at >= %(since)s AND created_at < %(until)s
       AND coalesce(mailbox, reader) IN (SELECT reader FROM largest WHERE reader <> '')
     GROUP BY coalesce(mailbox, reader)
)
SELECT reader, coalesce(latest.name, ''), coalesce(latest.email, ''), tips, total,
       (SELECT min(id) IS NOT NULL FROM monetization_tip WHERE mailbox IS NULL AND reader ~ %(other)s)
  FROM largest LEFT JOIN latest USING (reader)
 ORDER BY total DESC, reader
"""


def top(creator: User, currency: str, period: Period, limit: int = 5) -> list[Supporter]:
    """Return the supporters with the largest totals of the period, the largest first.

    A supporter is left out if all their tips were refunded. All spellings of a mailbox are one supporter.
    This takes one query.
    """
    values: dict[str, Any] = {
        "creator": creator.pk,
        "currency": currency,
        "since": period.since,
        "until": period.until,
        "limit": limit,
    }
    return [_supporter(*row) for row in by_mailbox.rows(Tip, TOP, values)]


def _supporter(reader: str, name: str, email: str, tips: int, total_cents: int) -> Supporter:
    if not reader or is_erased(reader):
        return Supporter(ERASED if reader else ANONYMOUS, "", tips, total_cents)
    return Supporter(name or email, email, tips, total_cents)
