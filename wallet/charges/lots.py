"""How the lots of granted credits pay for charges and holds, and how credits go back to them.

Lots pay before paid credits do: the soonest end first, then the older lot. What comes back goes the other way
round: first to paid credits, then to the lots in reverse order. So a charge of 8 and a refund of 4 of it have
the same effect on each lot as a charge of 4. An adjustment takes paid credits first.

All functions here run while the caller's transaction holds the wallet's lock. A query that joins two tables
names the wallet of both, so that one node of a cluster can answer it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from wallet.books.models import Entry
from wallet.charges.models import Hold, HoldPart, Lot, LotMove

RELEASE = """
UPDATE wallet_lot SET held = held - parts.credits
  FROM (SELECT lot_id, sum(credits) AS credits FROM wallet_holdpart
         WHERE wallet_id = %(user_id)s AND hold_id = ANY(%(hold_ids)s) GROUP BY lot_id) AS parts
 WHERE wallet_lot.wallet_id = %(user_id)s AND wallet_lot.id = parts.lot_id
"""


class Share(NamedTuple):
    """How many credits of something come from a lot, or go back to it."""

    lot: Lot
    credits: int


def total(shares: Iterable[Share]) -> int:
    """Return how many credits these shares come to."""
    return sum(share.credits for share in shares)


def that_can_pay(user_id: str) -> list[Lot]:
    """Return the lots with a free part, in spendable order. The caller has written off what has ended."""
    return list(Lot.objects.filter(wallet_id=user_id).with_free_part().in_spendable_order())


def shares_of_charge(lots: Sequence[Lot], credits: int) -> list[Share]:
    """Return what each lot pays of a charge or a hold. Paid credits pay the rest."""
    return _shares([Share(lot, lot.free) for lot in lots], credits)


def shares_of_adjustment(lots: Sequence[Lot], credits: int, *, available: int) -> list[Share]:
    """Return what each lot pays of a negative adjustment, for which paid credits are taken first."""
    paid = max(0, available - sum(lot.free for lot in lots))
    return shares_of_charge(lots, max(0, credits - paid))


def shares_of_capture(hold: Hold, credits: int) -> list[Share]:
    """Return what each lot pays of a capture: the parts that were set aside pay first."""
    of_hold = {"wallet_id": hold.wallet_id, "lot__wallet_id": hold.wallet_id, "hold_id": hold.pk}
    parts = HoldPart.objects.filter(**of_hold).select_related("lot").order_by("lot__expires_at", "lot_id")
    return _shares([Share(part.lot, part.credits) for part in parts], credits)


def shares_of_give_back(charge: Entry, credits: int, *, given_back: int) -> list[Share]:
    """Return what goes back to each lot when these credits of a charge are given back.

    `given_back` is how many came back before. Their order was the same, so this number tells where they went.
    """
    of_wallet = {"wallet_id": charge.wallet_id, "lot__wallet_id": charge.wallet_id}
    moves = LotMove.objects.filter(**of_wallet, sequence=charge.sequence).select_related("lot")
    moves = moves.order_by("-lot__expires_at", "-lot_id")
    shares = [Share(move.lot, -move.credits) for move in moves]
    paid = charge.charged - total(shares)
    # Before this refund, and after it: how many credits had gone to lots, and which.
    before = dict(_shares(shares, max(0, given_back - paid)))
    after = _shares(shares, max(0, given_back + credits - paid))
    changes = [Share(lot, share - before.get(lot, 0)) for lot, share in after]
    return [share for share in changes if share.credits]


def _shares(most: Iterable[Share], credits: int) -> list[Share]:
    """Spread credits over the lots in this order. The share of each is at most the given one."""
    shares = []
    for lot, at_most in most:
        if credits <= 0:
            break
        shares.append(Share(lot, min(at_most, credits)))
        credits -= at_most
    return shares


# --- Writing ------------------------------------------------------------------------------------------


def begin(entry: Entry, lot: Lot) -> None:
    """Write down that an entry granted the credits of a new lot."""
    _record(entry, [Share(lot, lot.credits)])


def spend(entry: Entry, shares: Sequence[Share]) -> None:
    """Take what an entry took from these lots."""
    _move(entry, [Share(lot, -credits) for lot, credits in shares])


def give_back(entry: Entry, shares: Sequence[Share]) -> None:
    """Add what a refund gave back to these lots."""
    _move(entry, shares)


def write_off(entry: Entry, lot: Lot) -> None:
    """Take the free part of a lot that has ended. The entry took it out of the wallet."""
    lot.expired += lot.free
    _move(entry, [Share(lot, -lot.free)])


def set_aside(shares: Sequence[Share]) -> None:
    """Set parts of these lots aside for a hold. The caller writes down which hold, with `name_hold`."""
    for lot, credits in shares:
        lot.held += credits
        Lot.objects.filter(wallet_id=lot.wallet_id, pk=lot.pk).update(held=lot.held)


def name_hold(hold: Hold, shares: Sequence[Share]) -> None:
    """Write down which parts of lots a new hold has set aside."""
    if shares:
        HoldPart.objects.bulk_create(
            HoldPart(wallet_id=hold.wallet_id, hold=hold, lot=lot, credits=credits) for lot, credits in shares
        )


def release(user_id: str, hold_ids: Sequence[str]) -> None:
    """Release the parts of lots that these holds have set aside."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, {"user_id": user_id, "hold_ids": list(hold_ids)})


def ended(user_id: str, now: datetime) -> list[Lot]:
    """Return the lots that have ended and have a free part, by their end."""
    lots = Lot.objects.filter(wallet_id=user_id).ended(now)
    return sorted(lots, key=lambda lot: (lot.ends_at, lot.pk))


def _move(entry: Entry, shares: Sequence[Share]) -> None:
    """Change what is left of the lots, and write down that the entry did it. A share may be negative."""
    for lot, credits in shares:
        lot.remaining += credits
        Lot.objects.filter(wallet_id=entry.wallet_id, pk=lot.pk).update(
            remaining=lot.remaining, expired=lot.expired
        )
    _record(entry, shares)


def _record(entry: Entry, shares: Sequence[Share]) -> None:
    LotMove.objects.bulk_create(
        LotMove(
            wallet_id=entry.wallet_id,
            sequence=entry.sequence,
            lot=lot,
            credits=credits,
            remaining_after=lot.remaining,
        )
        for lot, credits in shares
    )
