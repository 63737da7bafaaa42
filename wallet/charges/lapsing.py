"""Write down that holds have expired.

Time alone decides that a hold has expired, so every answer is the same before and after this was written
down. A verb that locks a wallet ends the overdue holds of this wallet before it decides. The command `tidy`
does the same for wallets that no verb locks.
"""

from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from wallet.books import ledger
from wallet.books.ledger import Standing
from wallet.charges.models import Hold


def lapse(user_id: str, read: Standing) -> Standing:
    """End the overdue holds of a wallet that the caller has locked. Return the wallet's standing after it.

    `read` is what the caller read after it locked the wallet. Its time decides which holds are overdue.
    """
    if not read.has_overdue or read.now is None:
        return read
    number, credits = end_overdue(user_id, read.now)
    return replace(read, held=read.held - credits, has_overdue=False, lapsed=number)


def end_overdue(user_id: str, now: datetime) -> tuple[int, int]:
    """End each hold that is open although its end is not after `now`. Return their number and credits."""
    overdue = Hold.objects.filter(wallet_id=user_id, state=Hold.State.OPEN, expires_at__lte=now)
    found = list(overdue.values_list("credits", flat=True))
    if found:
        overdue.update(state=Hold.State.EXPIRED, ended_at=F("expires_at"))
        ledger.change(user_id, held=-sum(found), open_holds=-len(found))
    return len(found), sum(found)


@transaction.atomic
def lapse_wallet(user_id: str) -> int:
    """Lock a wallet and end its overdue holds. Return how many there were."""
    read = ledger.lock(user_id)
    return lapse(user_id, read).lapsed if read else 0
