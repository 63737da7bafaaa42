"""Set, remove and read budgets. The counters are in counters.py, and so is what a budget means."""

from datetime import datetime

from django.db import connection, transaction

from foundation.calendar import start_of
from foundation.database.transactions import retried
from wallet.books import ledger, places
from wallet.books.funds import time_of
from wallet.charges import counters, lapsing
from wallet.charges.counters import BudgetNow
from wallet.charges.models import Budget
from wallet.errors import TooManyBudgets

BUDGETS_MAX = 50  # Of a wallet.
CREDITS_MAX = 1_000_000_000

# What charges between two places of the history come to in a period, less what came back of charges of this
# period. A charge of a hold counts by when the hold was made. An empty product means all products.
SPENT = """
SELECT coalesce(sum(-entry.credits), 0)::bigint
  FROM wallet_entry entry
  JOIN wallet_entry charge
    ON charge.wallet_id = entry.wallet_id AND charge.id = coalesce(entry.reverses_id, entry.id)
  LEFT JOIN wallet_hold hold ON hold.wallet_id = charge.wallet_id AND hold.id = charge.hold_id
 WHERE entry.wallet_id = %(wallet_id)s AND entry.sequence > %(after)s AND entry.sequence <= %(last)s
   AND entry.kind IN ('deduct', 'capture', 'refund') AND %(product)s IN ('', entry.product)
   AND coalesce(hold.created_at, charge.created_at) >= %(since)s
"""
SET_ASIDE = """
SELECT coalesce(sum(credits), 0)::bigint FROM wallet_hold
 WHERE wallet_id = %(wallet_id)s AND state = 'open' AND created_at >= %(since)s
   AND %(product)s IN ('', product)
"""


@retried
def set_budget(
    *, user_id: str, set_by: str, product: str, period: str, credits: int, alert_percent: int = 100
) -> BudgetNow:
    """Set the most that may be spent in a period (0 to 1,000,000,000 credits); 0 stops all charges.

    With `product` "", the budget is over all products. `alert_percent` is 1 to 100. A new budget counts from
    the beginning of the period that is running. Raises TooManyBudgets.
    """
    chosen = {"wallet_id": user_id, "set_by": set_by, "product": product, "period": period}
    ledger.open_wallet(user_id)
    counted = None
    if not Budget.objects.filter(**chosen).exists():
        # Count nearly all of the period before the lock, so that charges of this wallet need not wait.
        counted = _Count(chosen, at=time_of(user_id))
        counted.add_entries()
    with transaction.atomic():
        read = ledger.lock(user_id)
        assert read is not None, "the wallet was opened"
        read = lapsing.lapse(user_id, read)
        limits = {"credits": credits, "alert_percent": alert_percent}
        if not Budget.objects.filter(**chosen).update(**limits):
            if read.budgets >= BUDGETS_MAX:
                raise TooManyBudgets
            # In between, a period may have ended, or the budget may have been removed.
            if counted is None or counted.starts != counters.first_day(period, read.now):
                counted = _Count(chosen, at=read.now)
            counted.add_entries()
            spent = counted.spent + counted.set_aside()
            Budget.objects.create(**chosen, **limits, starts=counted.starts, spent=spent)
            ledger.set_budgets(user_id, read.budgets + 1)
        return counters.budget_at(Budget.objects.get(**chosen), read.now)


@retried
@transaction.atomic
def remove_budget(*, user_id: str, set_by: str, product: str, period: str) -> bool:
    """Remove a budget. Return whether there was one."""
    read = ledger.lock(user_id)
    chosen = Budget.objects.filter(wallet_id=user_id, set_by=set_by, product=product, period=period)
    removed, _ = chosen.delete()
    if removed and read:
        ledger.set_budgets(user_id, read.budgets - 1)
    return bool(removed)


def budgets_of(user_id: str, product: str | None = None, *, now: datetime | None = None) -> list[BudgetNow]:
    """Return a user's budgets as they are now: the user's own first, then by product and period.

    With a product, return only those that a charge of this product must keep. A caller that has read the time
    gives it as `now`.
    """
    now = now or time_of(user_id)
    budgets = Budget.objects.filter(wallet_id=user_id)
    if product is not None:
        budgets = Budget.objects.that_can_refuse(user_id, product)
    rows = budgets.with_overdue(user_id, now).order_by("-set_by", "product", "period")
    return [counters.budget_at(budget, now) for budget in rows]


class _Count:
    """What was spent in the running period, counted from the entries."""

    def __init__(self, budget: dict[str, str], *, at: datetime) -> None:
        self.starts = counters.first_day(budget["period"], at)
        self.values = budget | {"since": start_of(self.starts)}
        (place,) = places.cuts(budget["wallet_id"], [start_of(self.starts)])
        self.counted_to, self.spent = place.sequence, 0

    def add_entries(self) -> None:
        """Add what was written since the last call, up to the newest entry."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT entries_count FROM wallet_wallet WHERE user_id = %(wallet_id)s", self.values
            )
            ((last,),) = cursor.fetchall()
            cursor.execute(SPENT, self.values | {"after": self.counted_to, "last": last})
            self.spent += cursor.fetchone()[0]
        self.counted_to = last

    def set_aside(self) -> int:
        """Return the credits of the holds of this period that are open. The caller has the wallet's lock."""
        with connection.cursor() as cursor:
            cursor.execute(SET_ASIDE, self.values)
            (credits,) = cursor.fetchone()
        return int(credits)
