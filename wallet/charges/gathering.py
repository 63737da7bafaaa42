"""Make the charges of a hot wallet together.

The charges of one wallet wait for each other, because each locks the wallet's row until its commit is on the
disk. If requests of one process charge the same wallet at the same time, the first charge is made at once.
The others wait here and not in PostgreSQL, and are then made in one transaction, like those of a batch. (A
wallet with grants, budgets or a freeze is charged one by one, for at most a second.) So a request waits for
at most one other group of its process, however many callers there are.
"""

import threading
import time
from copy import copy
from dataclasses import dataclass, field
from itertools import zip_longest

import psycopg

from accounts.models import ServiceKey
from accounts.service_keys import as_remembered
from foundation import deadlines
from foundation.database.transactions import is_out_of_reach
from foundation.errors import TryAgainLater
from wallet.charges import batches, deductions
from wallet.charges.batches import ITEMS_OF_TRANSACTION_MAX, Item, Outcome
from wallet.charges.deductions import Charge

# No charge begins later than this after its caller came. It may then still wait for a lock, so a caller
# waits three seconds at most, however many wait for the same wallet.
SECONDS_MAX = 1.5


@dataclass(eq=False)
class _Waiting:
    """A charge. When its `turn` comes, it has an outcome, or it makes the charges of its `group`."""

    item: Item
    came_at: float = field(default_factory=time.monotonic)
    # Half of the time of its request must be left when it begins: for the wait for a lock, and the answer.
    time_left: float = field(default_factory=lambda: deadlines.seconds_left() or 2 * SECONDS_MAX)
    turn: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome = None
    group: list["_Waiting"] = field(default_factory=list)

    @property
    def begins_until(self) -> float:
        """Until when it may begin, by the monotonic clock, if it had to wait."""
        return self.came_at + min(SECONDS_MAX, self.time_left - SECONDS_MAX)


# For each wallet that this process is charging, the charges that wait until this is done. The charges of a
# transaction have the same service key, so it belongs to the name.
_waiting: dict[tuple[str, str], list[_Waiting]] = {}
_lock = threading.Lock()


def deduct(*, service: ServiceKey, user_id: str, feature: str, count: int = 1, key: str) -> Charge:
    """Charge as `deductions.deduct` does, together with the charges of this wallet that wait.

    Raises what `deductions.deduct` raises, and TryAgainLater if the charge was not begun in time.
    """
    if not key:  # It could not be told from another charge of its group.
        return deductions.deduct(service=service, user_id=user_id, feature=feature, count=count)
    mine = _Waiting(Item(user_id, feature, count, key))
    place = (service.digest, user_id)
    with _lock:
        if place in _waiting:
            _waiting[place].append(mine)
        else:
            _waiting[place] = []
            _begin([mine])
    _wait(mine, place)
    if mine.group:
        _make(service, mine.group, place)
    if isinstance(mine.outcome, Charge):
        return mine.outcome
    raise mine.outcome or TryAgainLater


def _wait(mine: _Waiting, place: tuple[str, str]) -> None:
    """Wait for the turn of a charge. Raises TryAgainLater when the time of its request is over.

    The charge that is made now may have come later than this one's request, so its time may end later, too.
    """
    if mine.turn.wait(deadlines.seconds_left()):
        return
    with _lock:
        if mine.turn.is_set():
            return
        if mine in _waiting.get(place, ()):
            _waiting[place].remove(mine)
    raise TryAgainLater  # If it is being made by another thread, its key tells the caller later.


def _begin(group: list[_Waiting]) -> None:
    """Let the first charge of a group make them all."""
    group[0].group = group
    group[0].turn.set()


def _make(service: ServiceKey, group: list[_Waiting], place: tuple[str, str]) -> None:
    """Make the charges of a group and tell each its outcome. Then let those begin that have waited for it."""
    lost: Exception | None = None
    if len(group) > 1:
        # The key may have been revoked since the first caller looked it up, and before the others came.
        service = as_remembered(service)
    try:
        made = batches.charge_wallet(
            service, [each.item for each in group], end_at=group[0].came_at + SECONDS_MAX
        )
        for each, outcome in zip_longest(group, made):
            each.outcome = outcome
    except Exception as error:
        for each in group:
            each.outcome = each.outcome or _of_its_own(error)
        # After the wait for a lock, there is time to wait for it once more. After the wait for a database
        # that does not answer, there is not: those who have waited as long fail as well. If the time of this
        # request has ended the wait, the database may be well, and those who came later go on.
        is_locked = isinstance(error.__cause__, psycopg.errors.LockNotAvailable) or deadlines.is_over()
        lost = error if is_out_of_reach(error) and not is_locked else None
    finally:
        for each in group[1:]:
            each.turn.set()
        with _lock:
            _hand_on(place, lost)


def _of_its_own(error: Exception) -> Exception:
    """Return an error like this one for another thread: Python notes in it where it was raised."""
    other = copy(error)
    other.__cause__ = error.__cause__
    return other


def _hand_on(place: tuple[str, str], lost: Exception | None) -> None:
    """Let the next charges of a wallet begin. The caller has the lock.

    All fail if there is an error `lost`, and so do those that have waited too long to begin.
    """
    now = time.monotonic()
    in_time = []
    for each in _waiting.pop(place):
        if lost or now >= each.begins_until:
            each.outcome = _of_its_own(lost) if lost else None
            each.turn.set()
        else:
            in_time.append(each)
    if in_time:
        _waiting[place] = in_time[ITEMS_OF_TRANSACTION_MAX:]
        _begin(in_time[:ITEMS_OF_TRANSACTION_MAX])
