"""A month's money at Stripe: what came and went by category, Stripe's fees, and what was paid out.

A movement belongs to the UTC month in which the money moved at Stripe. So a dispute of a payment of November
that takes its money in December is in December. The money of a month is closed when all of its movements
are read, and what is in each automatic payout of it, unless Stripe does not know that payout for a week.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import F, Sum

from foundation.calendar import add_months, day_of, start_of
from wallet.payments.payouts.models import CAME_BACK, ClosedMoney, MonthMoney, StripePayout
from wallet.payments.payouts.reading import read_since, read_until, waited_for

# What came back in a month, of payouts that failed or were canceled.
BACK = f"""
     SELECT id, source_id AS payout_id, currency, amount, fee, created_at
       FROM wallet_stripemovement
      WHERE category = '{CAME_BACK}' AND created_at >= %(since)s AND created_at < %(until)s
"""  # noqa: S608 (made of texts of the project)
# The payouts of a month by whose end their money had left: those of which nothing came back in the month, and
# those where what came back was sent by such a payout in its turn. So a payout that comes back after the end
# of the month counts as sent, whether the month is closed before or after that.
SENT = f"""
WITH RECURSIVE back AS MATERIALIZED ({BACK}),
sent (id) AS (
     SELECT id FROM wallet_stripepayout payout
      WHERE created_at >= %(since)s AND created_at < %(until)s
        AND NOT EXISTS (SELECT FROM back WHERE back.payout_id = payout.id)
      UNION
     SELECT back.payout_id
       FROM sent
       JOIN wallet_payoutitem item ON item.payout_id = sent.id
       JOIN back ON back.id = item.movement_id)
"""  # noqa: S608 (made of texts of this module)
# By the index on the time. A payment of which the books know nothing has no row of its own.
ADDED = """
     SELECT movement.currency, movement.category,
            payment.state IS NOT NULL AND payment.state IN ('credited', 'by_hand') AS of_topups,
            count(*) AS movements, sum(movement.amount)::bigint AS amount, sum(movement.fee)::bigint AS fee,
            coalesce(sum(movement.amount - movement.fee)
                     FILTER (WHERE sent.id IS NOT NULL), 0)::bigint AS paid_out
       FROM wallet_stripemovement movement
       LEFT JOIN wallet_payment payment
         ON payment.stripe_id = movement.payment_intent_id AND movement.payment_intent_id <> ''
       LEFT JOIN wallet_payoutitem item ON item.movement_id = movement.id
       LEFT JOIN sent ON sent.id = item.payout_id
      WHERE movement.created_at >= %(since)s AND movement.created_at < %(until)s
      GROUP BY 1, 2, 3
      ORDER BY 1, 2, 3
"""
# A cluster refuses an INSERT whose own list of WITH is recursive.
CLOSE = f"""
WITH added AS MATERIALIZED ({SENT} {ADDED}),
closed AS (
     INSERT INTO wallet_closedmoney (month) VALUES (%(month)s) ON CONFLICT (month) DO NOTHING RETURNING month)
INSERT INTO wallet_monthmoney (month, currency, category, of_topups, movements, amount, fee, paid_out)
SELECT closed.month, added.* FROM closed CROSS JOIN added
"""  # noqa: S608 (made of texts of this module)
# What came back in a month, of payouts of earlier months. A payout before the first reading has no row.
OF_EARLIER = f"""
SELECT back.currency, count(*), sum(back.amount)::bigint, sum(back.fee)::bigint
  FROM ({BACK}) AS back LEFT JOIN wallet_stripepayout payout ON payout.id = back.payout_id
 WHERE (payout.created_at < %(since)s) IS NOT FALSE
 GROUP BY 1 ORDER BY 1
"""  # noqa: S608 (made of texts of this module)
# The payouts that were made in a month, those that came back in it, and those with top-ups of it: of these
# payments, what it sent.
PAYOUTS = f"""
WITH back AS ({BACK}),
sent AS (
     SELECT item.payout_id, count(*) AS movements, sum(movement.amount - movement.fee)::bigint AS net
       FROM wallet_stripemovement movement
       JOIN wallet_payment payment
         ON payment.stripe_id = movement.payment_intent_id AND movement.payment_intent_id <> ''
        AND payment.state IN ('credited', 'by_hand')
       JOIN wallet_payoutitem item ON item.movement_id = movement.id
      WHERE movement.created_at >= %(since)s AND movement.created_at < %(until)s
      GROUP BY 1)
SELECT id, created_at, arrives_at, status, is_automatic, itemized_at IS NOT NULL, unknown_since IS NOT NULL,
       currency, amount, coalesce(movements, 0), coalesce(net, 0),
       (SELECT min(moved.created_at) FROM wallet_stripemovement moved
         WHERE moved.source_id = payout.id AND moved.category = '{CAME_BACK}')
  FROM wallet_stripepayout payout LEFT JOIN sent ON payout_id = id
 WHERE created_at >= %(since)s AND created_at < %(until)s
    OR id IN (SELECT payout_id FROM sent) OR id IN (SELECT payout_id FROM back)
 ORDER BY created_at, id
 LIMIT %(most)s
"""  # noqa: S608 (made of texts of this module)
PAYOUTS_MAX = 200


@dataclass(frozen=True)
class Moved:
    """What the movements of one category and currency add up to. Amounts are in the smallest unit."""

    currency: str
    category: str
    of_topups: bool
    movements: int
    amount: int
    fee: int
    paid_out: int

    @property
    def net(self) -> int:
        """What the balance changed by."""
        return self.amount - self.fee


@dataclass(frozen=True)
class Payout:
    """A payout, and what it sent of the month's top-ups: how many movements, and their net.

    `came_back_at` is when its money was back on our balance, None unless it failed or was canceled.
    """

    id: str
    created_at: datetime
    arrives_at: datetime
    status: str
    is_automatic: bool
    is_itemized: bool
    is_unknown: bool
    currency: str
    amount: int
    movements: int
    net: int
    came_back_at: datetime | None

    @property
    def state(self) -> str:
        """Its status as pages write it."""
        if self.is_unknown:
            return "Unknown"
        return self.status.replace("_", " ").capitalize()

    @property
    def came_back_in(self) -> date | None:
        """The first day of the month in which its money came back."""
        return day_of(self.came_back_at).replace(day=1) if self.came_back_at else None


@dataclass(frozen=True)
class Money:
    """A month's money at Stripe. `opening` is the balance by currency when the month began."""

    month: date
    opening: dict[str, int]
    moved: list[Moved]
    closed_at: datetime | None = None

    @property
    def closing(self) -> dict[str, int]:
        """The balance by currency when the month ended, or when it was last read."""
        return _balances(self.opening, ((each.currency, each.net) for each in self.moved))


def close() -> list[date]:
    """Close the money of each finished month that is read whole, oldest first. Return the first day of each.

    Each is a statement of its own, so it is safe to call this again, also from two processes.
    """
    until, closed = read_until(), []
    month = _first_open()
    while month and until and start_of(add_months(month, 1)) <= until and _is_itemized(month):
        with connection.cursor() as cursor:
            cursor.execute(CLOSE, _times(month) | {"month": month})
        closed.append(month)
        month = add_months(month, 1)
    return closed


def money_of(month: date) -> Money | None:
    """Return a month's money: as it was closed, or as far as it is read. None if none of it is read."""
    earlier = MonthMoney.objects.filter(month__lt=month).values("currency").order_by("currency")
    sums = earlier.annotate(net=Sum(F("amount") - F("fee"))).values_list("currency", "net")
    opening = dict(sums)
    if closed := ClosedMoney.objects.filter(month=month).first():
        rows = MonthMoney.objects.filter(month=month).order_by("currency", "category", "of_topups")
        moved = [Moved(*row) for row in rows.values_list(*Moved.__annotations__)]
        return Money(month, opening, moved, closed.closed_at)
    first = _first_open()
    if first is None or month < first or (until := read_until()) is None or until <= start_of(month):
        return None
    while first < month:  # Months that are not closed yet, usually none.
        opening = _balances(opening, ((each.currency, each.net) for each in _added(first)))
        first = add_months(first, 1)
    return Money(month, opening, _added(month))


def of_earlier_payouts(month: date) -> list[Moved]:
    """Return what came back in a month of payouts of earlier months, by currency."""
    with connection.cursor() as cursor:
        cursor.execute(OF_EARLIER, _times(month))
        return [
            Moved(currency, CAME_BACK, False, movements, amount, fee, paid_out=0)
            for currency, movements, amount, fee in cursor.fetchall()
        ]


def payouts_of(month: date) -> list[Payout]:
    """Return the payouts made in a month, those that came back in it, and those with its top-ups.

    The oldest is first. There are at most 200.
    """
    with connection.cursor() as cursor:
        cursor.execute(PAYOUTS, _times(month) | {"most": PAYOUTS_MAX})
        return [Payout(*row) for row in cursor.fetchall()]


def _first_open() -> date | None:
    """Return the first month that is not closed; None before the first reading."""
    if last := ClosedMoney.objects.order_by("-month").first():
        return add_months(last.month, 1)
    since = read_since()
    return day_of(since).replace(day=1) if since else None


def _is_itemized(month: date) -> bool:
    made = waited_for().filter(is_automatic=True, created_at__lt=start_of(add_months(month, 1)))
    return not made.filter(itemized_at=None).exclude(status__in=StripePayout.ENDED).exists()


def _added(month: date) -> list[Moved]:
    with connection.cursor() as cursor:
        cursor.execute(f"{SENT} {ADDED}", _times(month))
        return [Moved(*row) for row in cursor.fetchall()]


def _balances(opening: dict[str, int], moved: Iterable[tuple[str, int]]) -> dict[str, int]:
    found = dict(opening)
    for currency, net in moved:
        found[currency] = found.get(currency, 0) + net
    return found


def _times(month: date) -> dict[str, Any]:
    return {"since": start_of(month), "until": start_of(add_months(month, 1))}
