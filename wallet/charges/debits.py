"""Spend what a user has available: take credits at once, or set them aside for a hold.

Both begin with one guarded update of the wallet's row (the plain branch). Its conditions are columns of this
row, so PostgreSQL checks them again if it has to wait for another transaction. If the update finds no row, or
if a hold is overdue, the full branch locks the wallet, writes off what is overdue, and decides. The two
branches give the same answers: where the conditions hold, there are no lots to pay from and no budgets to
keep, so the full branch would have nothing more to look at.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Unpack

from django.db import connection, transaction

from foundation.database.compiled import Call
from wallet.books import ledger
from wallet.books.ledger import Facts, NotPlain, Standing
from wallet.books.models import Entry
from wallet.charges import counters, lapsing, lots
from wallet.charges.lots import Share
from wallet.charges.models import Budget, Hold
from wallet.errors import InsufficientCredits, TooManyHolds, WalletFrozen

OPEN_HOLDS_MAX = 1000  # Of a wallet.
OPEN_HOLDS_OF_PRODUCT_MAX = 200  # Of a wallet and product.
# A refusal rolls back what was written off, because time decides the same again. More than this many holds
# and lots are written off for good, so that the next refusals need not do it again.
LAPSES_ROLLED_BACK_MAX = 50


@contextmanager
def spending(user_id: str) -> Iterator[None]:
    """Run a verb that spends in a transaction. If it is refused, write off for good what is long overdue."""
    try:
        with transaction.atomic():
            yield
    except (InsufficientCredits, TooManyHolds) as refused:
        if refused.lapsed > LAPSES_ROLLED_BACK_MAX and not connection.in_atomic_block:
            lapsing.lapse_wallet(user_id)
        raise


def debit(
    *,
    user_id: str,
    credits: int,
    kind: Entry.Kind,
    actor: str,
    proof: Call | None = None,
    **facts: Unpack[Facts],
) -> Entry:
    """Take credits out of a wallet.

    Raises InsufficientCredits if fewer credits are available; if this is a charge, WalletFrozen or
    BudgetSpent; IntegrityError if the idempotency key was used before; and Unproven if there is a `proof` and
    it fails (`ledger.take_plainly`). Then the wallet does not change.
    """
    assert credits > 0, "a debit takes a positive number of credits"
    product = facts.get("product", "")
    with suppress(NotPlain), transaction.atomic():
        return ledger.take_plainly(user_id, credits=credits, kind=kind, actor=actor, proof=proof, **facts)
    with spending(user_id):
        is_charge = kind == Entry.Kind.DEDUCT
        before = _judged(user_id, credits, product=product if is_charge else None)
        free = lots.that_can_pay(user_id) if before.granted else []
        if is_charge:
            shares = lots.shares_of_charge(free, credits)
            counters.count(before, product, credits)
        else:
            shares = lots.shares_of_adjustment(free, credits, available=before.available)
        entry, _ = ledger.post(
            before, credits=-credits, granted=-lots.total(shares), kind=kind, actor=actor, **facts
        )
        lots.spend(entry, shares)
        return entry


def set_aside(*, user_id: str, credits: int, product: str) -> tuple[Standing, list[Share]]:
    """Set credits aside for a new hold of a product.

    Return the wallet's standing after it, with the time, and what was set aside of lots. The caller runs this
    in `spending` and then writes the hold and these shares. Raises InsufficientCredits, WalletFrozen,
    BudgetSpent, or TooManyHolds.
    """
    assert credits > 0, "a hold sets a positive number of credits aside"
    # With few open holds in the wallet, the product has few, too.
    if ledger.set_aside_plainly(user_id, credits, open_holds_max=OPEN_HOLDS_OF_PRODUCT_MAX):
        return lapsing.lapse(user_id, ledger.standing(user_id)), []
    before = _judged(user_id, credits, product=product)
    opened = Hold.objects.filter(wallet_id=user_id, state=Hold.State.OPEN)
    of_product = opened.filter(product=product).count()
    if of_product >= OPEN_HOLDS_OF_PRODUCT_MAX or opened.count() >= OPEN_HOLDS_MAX:
        raise TooManyHolds(lapsed=before.lapsed)
    after = ledger.set_held(before, by=credits, open_holds=1)
    shares = lots.shares_of_charge(lots.that_can_pay(user_id), credits) if before.granted else []
    lots.set_aside(shares)
    counters.count(before, product, credits)
    return after, shares


def _judged(user_id: str, credits: int, *, product: str | None) -> Standing:
    """Lock the wallet, write off what is overdue, and return its standing, if it can spend the credits.

    `product` charges the wallet; None if this is no charge, so that no budget and no freeze applies.
    """
    read = ledger.lock(user_id)
    if read is None:
        raise InsufficientCredits(available=0, required=credits)
    before = lapsing.lapse(user_id, read)
    figures = {"available": before.available, "required": credits, "lapsed": before.lapsed}
    if product is not None and before.frozen:
        raise WalletFrozen(**figures)
    if product is not None and before.budgets:
        budgets = Budget.objects.that_can_refuse(user_id, product)
        counters.require_room([counters.budget_at(budget, before.now) for budget in budgets], **figures)
    if before.available < credits:
        raise InsufficientCredits(**figures)
    return before
