"""Write down that holds have expired.

Time alone decides that a hold has expired, so every answer is the same before and after this was written
down. A verb that locks a wallet ends the overdue holds of this wallet before it decides. The command `tidy`
does the same for wallets that no verb locks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import IntegrityError, InternalError, transaction
from django.db.models import F
from django.db.models.functions import Now

from foundation.errors import first_line
from wallet.books import ledger
from wallet.books.ledger import Standing
from wallet.charges.models import Hold

WALLETS_AT_A_TIME = 1000


def lapse(user_id: str, read: Standing) -> Standing:
    """End the overdue holds of a wallet that the caller has locked. Return the wallet's standing after it.

    `read` is what the caller read after it locked the wallet. Its time decides which holds are overdue.
    """
    if not read.has_overdue or read.now is None:
        return read
    number, credits = _end_overdue(user_id, read.now)
    return replace(read, held=read.held - credits, has_overdue=False, lapsed=number)


@transaction.atomic
def lapse_wallet(user_id: str, *, wait: bool = True) -> int:
    """Lock a wallet and end its overdue holds. Return how many there were.

    Without `wait`, a wallet that another transaction has locked is left alone.
    """
    read = ledger.lock(user_id, wait=wait)
    return lapse(user_id, read).lapsed if read else 0


def _end_overdue(user_id: str, now: datetime) -> tuple[int, int]:
    """End the overdue holds of a wallet that the caller has locked. Return their number and credits."""
    overdue = Hold.objects.filter(wallet_id=user_id).overdue(now)
    found = list(overdue.values_list("credits", flat=True))
    if found:
        overdue.update(state=Hold.State.EXPIRED, ended_at=F("expires_at"))
        ledger.change(user_id, held=-sum(found), open_holds=-len(found))
    return len(found), sum(found)


# --- All wallets --------------------------------------------------------------------------------------


@dataclass
class Tidied:
    """How many holds of how many wallets were ended. `failed` has the reasons of the others, by Misar ID."""

    holds: int = 0
    wallets: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def tidy(*, go_on: Callable[[], bool] = lambda: True) -> Tidied:
    """End the overdue holds of all wallets, each wallet in a transaction of its own.

    A wallet that is locked now is left for the next time. Stops between two wallets when `go_on` is false.
    """
    tidied = Tidied()
    after = ""
    while batch := _wallets_with_overdue_holds(after):
        for user_id in batch:
            if not go_on():
                return tidied
            try:
                ended = lapse_wallet(user_id, wait=False)
            # The books of this wallet are damaged. The others go on. (On a cluster, it is an InternalError.)
            except (IntegrityError, InternalError) as error:
                tidied.failed[user_id] = first_line(error)
            else:
                tidied.holds += ended
                tidied.wallets += bool(ended)
        after = batch[-1]
    return tidied


def _wallets_with_overdue_holds(after: str) -> list[str]:
    """Return the next wallets, in the order of their ids. `Now` is early enough to find candidates."""
    user_ids = Hold.objects.overdue(Now()).filter(wallet_id__gt=after).values_list("wallet_id", flat=True)
    return list(user_ids.order_by("wallet_id").distinct()[:WALLETS_AT_A_TIME])
