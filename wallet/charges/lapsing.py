"""Write down that holds have expired and that granted credits have ended.

Time alone decides both, so every answer is the same before and after this was written down. A verb that locks
a wallet writes off what is overdue in this wallet before it decides. The command `tidy` does the same for
wallets that no verb locks.

Holds come first: what they release may belong to a lot that has ended. Then the free part of each lot that
has ended is taken out of the wallet, by an `expiry` entry that tells the end as `effective_at`. What an open
hold has set aside of such a lot stays, until the hold ends.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

from django.db import IntegrityError, InternalError, transaction
from django.db.models import F
from django.db.models.functions import Now

from foundation.calendar import day_of, start_of
from foundation.errors import first_line
from wallet.books import ledger
from wallet.books.ledger import Standing
from wallet.books.models import Entry
from wallet.charges import counters, lots
from wallet.charges.models import Hold, Lot

WALLETS_AT_A_TIME = 1000
ACTOR = "time"


def lapse(user_id: str, read: Standing) -> Standing:
    """Write off what is overdue in a wallet that the caller has locked. Return the standing after it.

    `read` is what the caller read after it locked the wallet. Its time decides what is overdue.
    """
    return write_off_lots(_end_overdue_holds(read) if read.has_overdue else read)


def write_off_lots(read: Standing) -> Standing:
    """Write off the free parts of the lots that have ended. Return the wallet's standing after it.

    A verb that releases a hold or gives credits back calls it at its end: credits that come back to a lot
    after its end are lost at once.
    """
    if not read.granted:
        return read
    ended = lots.ended(read.user_id, read.now)
    for lot in ended:
        entry, read = ledger.post(
            read,
            credits=-lot.free,
            granted=-lot.free,
            kind=Entry.Kind.EXPIRY,
            actor=ACTOR,
            product=lot.product,
            reason=lot.reason,
            effective_at=lot.ends_at,
        )
        lots.write_off(entry, lot)
    return replace(read, lapsed_lots=read.lapsed_lots + len(ended))


@transaction.atomic
def lapse_wallet(user_id: str, *, wait: bool = True) -> tuple[int, int]:
    """Lock a wallet and write off what is overdue in it. Return how many holds and how many lots there were.

    Without `wait`, a wallet that another transaction has locked is left alone.
    """
    read = ledger.lock(user_id, wait=wait)
    after = lapse(user_id, read) if read else None
    return (after.lapsed_holds, after.lapsed_lots) if after else (0, 0)


def _end_overdue_holds(read: Standing) -> Standing:
    """End the overdue holds of a wallet that the caller has locked. Return the standing after it."""
    overdue = Hold.objects.filter(wallet_id=read.user_id).overdue(read.now)
    found = list(overdue.only("credits", "product", "created_at"))
    credits = sum(hold.credits for hold in found)
    overdue.update(state=Hold.State.EXPIRED, ended_at=F("expires_at"))
    after = ledger.set_held(read, by=-credits, open_holds=-len(found))
    if read.granted:
        lots.release(read.user_id, [hold.pk for hold in found])
    # Budgets count by product and UTC day or month, so 1,000 holds of one day are one update of each budget.
    released: Counter[tuple[str, date]] = Counter()
    for hold in found:
        released[hold.product, day_of(hold.created_at)] += hold.credits
    for (product, day), of_day in released.items():
        counters.uncount(read, product, of_day, asked_at=start_of(day))
    return replace(after, has_overdue=False, lapsed_holds=len(found))


# --- All wallets --------------------------------------------------------------------------------------


@dataclass
class Tidied:
    """How many overdue holds and ended lots were written off, and in how many wallets.

    `failed` says why other wallets could not be tidied, by Misar ID.
    """

    holds: int = 0
    lots: int = 0
    wallets: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def tidy(*, go_on: Callable[[], bool] = lambda: True) -> Tidied:
    """Write off what is overdue in all wallets, each wallet in a transaction of its own.

    A wallet that is locked now is left for the next time. Stops between two wallets when `go_on` is false.
    """
    tidied = Tidied()
    after = ""
    while batch := _wallets_with_overdue(after):
        for user_id in batch:
            if not go_on():
                return tidied
            try:
                ended_holds, ended_lots = lapse_wallet(user_id, wait=False)
            # The books of this wallet are damaged. The others go on. (On a cluster, it is an InternalError.)
            except (IntegrityError, InternalError) as error:
                tidied.failed[user_id] = first_line(error)
            else:
                tidied.holds += ended_holds
                tidied.lots += ended_lots
                tidied.wallets += bool(ended_holds or ended_lots)
        after = batch[-1]
    return tidied


def _wallets_with_overdue(after: str) -> list[str]:
    """Return the next wallets, in the order of their ids. `Now` is early enough to find candidates."""
    holds = Hold.objects.overdue(Now()).filter(wallet_id__gt=after).values_list("wallet_id")
    ended = Lot.objects.ended(Now()).filter(wallet_id__gt=after).values_list("wallet_id")
    found = [
        user_id
        for rows in (holds, ended)
        for (user_id,) in rows.order_by("wallet_id").distinct()[:WALLETS_AT_A_TIME]
    ]
    return sorted(set(found))[:WALLETS_AT_A_TIME]
