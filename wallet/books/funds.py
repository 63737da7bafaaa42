"""What a user has, now or at a past time: the balance, and how much of it is held, granted and available.

Reading writes nothing. Time alone decides that a hold has expired and that a grant has ended. So the answers
are the same whether that was written down already or not (charges/lapsing.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from foundation.calendar import A_MOMENT
from wallet.books import places
from wallet.errors import FutureTime

# No hold lasts longer. So the holds that were open at a time are among those of the days before it.
HOLDS_LAST_MAX = timedelta(days=7)

# Never before the last entry, because no verb decides by an earlier time.
MOMENT = """
SELECT greatest(clock_timestamp(), (SELECT created_at FROM wallet_entry
                                     WHERE wallet_id = %(user_id)s ORDER BY sequence DESC LIMIT 1))
"""
# Most wallets have no grants. An overdue hold has expired, although its row may still be open.
FUNDS = f"""
WITH moment AS MATERIALIZED ({MOMENT})
SELECT wallet.balance, wallet.held - coalesce((
           SELECT sum(credits) FROM wallet_hold
            WHERE wallet_id = %(user_id)s AND state = 'open' AND expires_at <= (TABLE moment)), 0)::bigint,
       wallet.frozen, (TABLE moment), wallet.granted > 0
  FROM wallet_wallet wallet WHERE wallet.user_id = %(user_id)s
"""  # noqa: S608
# The same, with a row for each lot that has credits left: what it has left, how much of that is set aside,
# and whether it has ended.
FUNDS_AND_LOTS = f"""
WITH moment AS MATERIALIZED ({MOMENT}),
overdue AS MATERIALIZED (
     SELECT id, credits FROM wallet_hold
      WHERE wallet_id = %(user_id)s AND state = 'open' AND expires_at <= (TABLE moment))
SELECT wallet.balance, wallet.held - coalesce((SELECT sum(credits) FROM overdue), 0)::bigint,
       wallet.frozen, (TABLE moment),
       lot.id, lot.product, lot.reason, lot.expires_at, lot.remaining, lot.held - coalesce((
           SELECT sum(part.credits) FROM overdue JOIN wallet_holdpart part
               ON part.wallet_id = %(user_id)s AND part.hold_id = overdue.id
            WHERE part.lot_id = lot.id), 0)::bigint,
       least(lot.expires_at, lot.voided_at) <= (TABLE moment)
  FROM wallet_wallet wallet JOIN wallet_lot lot ON lot.wallet_id = wallet.user_id AND lot.remaining > 0
 WHERE wallet.user_id = %(user_id)s
 ORDER BY lot.expires_at, lot.id
"""  # noqa: S608
# At a past time: the balance after the last entry up to then, the lots from the moves up to this entry, and
# what the holds had set aside that were open then. One statement, so that no verb commits in between.
FUNDS_THEN = f"""
WITH place (sequence, balance) AS MATERIALIZED ({places.CUTS}),
opened AS MATERIALIZED (
     SELECT id, credits FROM wallet_hold
      WHERE wallet_id = %(user_id)s AND created_at <= %(at)s AND created_at > %(at)s - %(holds_last_max)s
        AND coalesce(ended_at, expires_at) > %(at)s)
SELECT place.balance, coalesce((SELECT sum(credits) FROM opened), 0)::bigint, lot.*
  FROM place LEFT JOIN LATERAL (
       SELECT lot.id, lot.product, lot.reason, lot.expires_at, last.remaining_after, coalesce((
                  SELECT sum(part.credits) FROM opened JOIN wallet_holdpart part
                      ON part.wallet_id = %(user_id)s AND part.hold_id = opened.id
                   WHERE part.lot_id = lot.id), 0)::bigint,
              least(lot.expires_at, lot.voided_at) <= %(at)s
         FROM wallet_lot lot CROSS JOIN LATERAL (
              SELECT remaining_after FROM wallet_lotmove
               WHERE wallet_id = %(user_id)s AND lot_id = lot.id AND sequence <= place.sequence
               ORDER BY sequence DESC LIMIT 1) last
        WHERE lot.wallet_id = %(user_id)s AND lot.created_at <= %(at)s AND last.remaining_after > 0
        ORDER BY lot.expires_at, lot.id) AS lot ON true
"""  # noqa: S608


@dataclass(frozen=True)
class GrantFunds:
    """What a grant has left at one time, in credits. `held` is the part that open holds have set aside."""

    id: str
    product: str
    reason: str
    expires_at: datetime
    remaining: int
    held: int


@dataclass(frozen=True)
class Funds:
    """What a user has at one time, in credits. `grants` are those with credits left, in spendable order.

    `frozen` says whether staff have stopped all charges now; it is False for a past time.
    """

    user_id: str
    balance: int
    held: int
    frozen: bool
    at: datetime
    grants: list[GrantFunds] = field(default_factory=list)

    @property
    def available(self) -> int:
        """The credits that can be spent; negative in a debt."""
        return self.balance - self.held

    @property
    def granted(self) -> int:
        """The credits that grants have left."""
        return sum(grant.remaining for grant in self.grants)

    @property
    def paid(self) -> int:
        """The credits that did not come from a grant; negative in a debt."""
        return self.balance - self.granted

    @property
    def paid_available(self) -> int:
        """The paid credits that can be spent; negative in a debt, or if more is held than was paid."""
        return self.available - sum(grant.remaining - grant.held for grant in self.grants)

    @property
    def owed(self) -> int:
        """What the user owes: what is missing in paid credits, because granted credits never pay a debt."""
        return max(0, -self.paid)


def funds_of(user_id: str, at: datetime | None = None, *, whole_second: bool = False) -> Funds:
    """Return what a user has now, or had at a past time. An unknown user has nothing.

    At a past time: after everything that was written up to and including it; with `whole_second`, up to the
    end of this second, as far as it has passed. Transactions that run may still write for the last seconds.
    Raises FutureTime.
    """
    now = _now(user_id)
    if at is None:
        return now
    if at > now.at:
        raise FutureTime
    if whole_second:
        at = min(at.replace(microsecond=999_999), now.at)
    return now if at == now.at else _then(user_id, at)


def time_of(user_id: str) -> datetime:
    """Return the time that decides about a wallet now: the database's, but never before the last entry."""
    with connection.cursor() as cursor:
        cursor.execute(MOMENT, {"user_id": user_id})
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now


def available_of(user_id: str) -> int:
    """Return how many credits a user can spend now; 0 without a wallet. It is negative in a debt."""
    return funds_of(user_id).available


def _now(user_id: str) -> Funds:
    with connection.cursor() as cursor:
        cursor.execute(FUNDS, {"user_id": user_id})
        row = cursor.fetchone()
        if row is None:
            cursor.execute("SELECT 0, 0, false, clock_timestamp(), false")
            row = cursor.fetchone()
        *figures, has_grants = row
        if not has_grants:
            return Funds(user_id, *figures)
        # Read everything again, so that all figures are of one moment.
        cursor.execute(FUNDS_AND_LOTS, {"user_id": user_id})
        rows = cursor.fetchall()
    if not rows:  # The last granted credits were spent in between.
        return _now(user_id)
    balance, held, frozen, now = rows[0][:4]
    return _without_ended(Funds(user_id, balance, held, frozen, now), (row[4:] for row in rows))


def _then(user_id: str, at: datetime) -> Funds:
    values: dict[str, Any] = places.cut_values(user_id, [at + A_MOMENT])
    with connection.cursor() as cursor:
        cursor.execute(FUNDS_THEN, values | {"at": at, "holds_last_max": HOLDS_LAST_MAX})
        rows = cursor.fetchall()
    if not rows:  # There is no wallet, or an entry is missing, and then this says so.
        (place,) = places.cuts(user_id, [at + A_MOMENT])
        return Funds(user_id, place.balance, 0, frozen=False, at=at)
    balance, held = rows[0][:2]
    lots = (row[2:] for row in rows if row[2] is not None)
    return _without_ended(Funds(user_id, balance, held, frozen=False, at=at), lots)


def _without_ended(funds: Funds, lots: Iterable[tuple[Any, ...]]) -> Funds:
    """Return the funds with these lots. The free parts of lots that have ended are gone."""
    balance, grants = funds.balance, []
    for grant_id, product, reason, expires_at, remaining, held, has_ended in lots:
        left = held if has_ended else remaining
        balance -= remaining - left
        if left:
            grants.append(GrantFunds(grant_id, product, reason, expires_at, remaining=left, held=held))
    return Funds(funds.user_id, balance, funds.held, funds.frozen, funds.at, grants)
