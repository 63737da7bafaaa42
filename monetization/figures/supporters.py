"""Who gave a creator the most."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from accounts.models import User
from monetization.figures.periods import Period
from monetization.privacy.placeholders import is_erased

ANONYMOUS = "Anonymous"
ERASED = "Erased reader"


@dataclass(frozen=True)
class Supporter:
    """One reader's tips of a period, in the currency's smallest unit.

    `total_cents` is gross, less all that was refunded of these tips. `name` is the latest they gave, `email`
    the address of their latest tip as they wrote it, for a mail to them; both are empty where there is none.
    All tips without an address are one supporter, and never merged by name.
    """

    name: str
    email: str
    masked_email: str
    tips: int
    total_cents: int
    label: str  # What to call them: the name, else the masked address, "Anonymous" or "Erased reader".


# The first pass finds who they are; the second reads the rows of those few again, for their latest name and
# address.
TOP = """
WITH largest AS (
    SELECT reader, count(*) AS tips, sum(gross_cents - refunded_cents)::bigint AS total
      FROM monetization_tip
     WHERE creator_id = %(creator)s AND currency = %(currency)s
       AND created_at >= %(since)s AND created_at < %(until)s
     GROUP BY reader
    HAVING sum(gross_cents - refunded_cents) > 0
     ORDER BY total DESC, reader
     LIMIT %(limit)s
), latest AS (
    SELECT reader,
           (array_agg(name ORDER BY created_at DESC, id DESC) FILTER (WHERE name <> ''))[1] AS name,
           (array_agg(email ORDER BY created_at DESC, id DESC))[1] AS email
      FROM monetization_tip
     WHERE creator_id = %(creator)s AND currency = %(currency)s
       AND created_at >= %(since)s AND created_at < %(until)s
       AND reader IN (SELECT reader FROM largest WHERE reader <> '')
     GROUP BY reader
)
SELECT reader, coalesce(latest.name, ''), coalesce(latest.email, ''), tips, total
  FROM largest LEFT JOIN latest USING (reader)
 ORDER BY total DESC, reader
"""


def top(creator: User, currency: str, period: Period, limit: int = 5) -> list[Supporter]:
    """The supporters with the largest totals of the period, the largest first, none with nothing left.

    A supporter is an address in any case. One query.
    """
    values: dict[str, Any] = {
        "creator": creator.pk,
        "currency": currency,
        "since": period.since,
        "until": period.until,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(TOP, values)
        return [_supporter(*row) for row in cursor.fetchall()]


def mask(email: str) -> str:
    """An address that its owner recognizes and nobody else learns: the first character and the domain.

    Of an erased reader's stand-in it says that they were erased.

    >>> mask("alex@example.com"), mask("reader-0f@erased.invalid"), mask("")
    ('a…@example.com', 'Erased reader', '')
    """
    if is_erased(email):
        return ERASED
    local_part, _, domain = email.rpartition("@")
    return f"{local_part[:1]}…@{domain}" if email else ""


def _supporter(reader: str, name: str, email: str, tips: int, total_cents: int) -> Supporter:
    if not reader:
        return Supporter("", "", "", tips, total_cents, label=ANONYMOUS)
    if is_erased(reader):
        return Supporter("", "", "", tips, total_cents, label=ERASED)
    masked = mask(email)
    return Supporter(name, email, masked, tips, total_cents, label=name or masked)
