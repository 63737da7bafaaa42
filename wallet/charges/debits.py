"""Spend what a user has available: take credits at once, or set them aside for a hold.

Both begin with one guarded update of the wallet's row (the plain branch). Its conditions are columns of this
row, so PostgreSQL checks them again if it has to wait for another transaction. If the update finds no row,
the full branch locks the wallet, ends what is overdue, and decides. The two branches give the same answers:
where the conditions hold, the full branch would have nothing more to look at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Unpack

from django.db import connection, transaction

from wallet.books import ledger
from wallet.books.ledger import Facts, Standing
from wallet.books.models import Entry
from wallet.charges import lapsing
from wallet.charges.models import Hold
from wallet.errors import InsufficientCredits, TooManyHolds, WalletFrozen

OPEN_HOLDS_MAX = 1000  # Of a wallet.
OPEN_HOLDS_OF_PRODUCT_MAX = 200  # Of a wallet and product.
# A refusal rolls back the end of overdue holds, because time decides the same again. More than this many are
# ended for good, so that the next refusals need not end them again.
LAPSES_ROLLED_BACK_MAX = 50


@contextmanager
def spending(user_id: str) -> Iterator[None]:
    """Run a verb that spends in a transaction. If it is refused, end many overdue holds for good."""
    try:
        with transaction.atomic():
            yield
    except (InsufficientCredits, TooManyHolds) as refused:
        if refused.lapsed > LAPSES_ROLLED_BACK_MAX and not connection.in_atomic_block:
            lapsing.lapse_wallet(user_id)
        raise


def debit(*, user_id: str, credits: int, kind: Entry.Kind, actor: str, **facts: Unpack[Facts]) -> Entry:
    """Take credits out of a wallet.

    Raises InsufficientCredits if fewer credits are available, WalletFrozen if this is a charge of a frozen
    wallet, and IntegrityError if the idempotency key was used before. Then the wallet does not change.
    """
    assert credits > 0, "a debit takes a positive number of credits"
    with spending(user_id):
        if ledger.take_plainly(user_id, credits):
            after = lapsing.lapse(user_id, ledger.standing(user_id))
        else:
            before = _judged(user_id, credits, is_charge=kind == Entry.Kind.DEDUCT)
            ledger.change(user_id, credits=-credits)
            after = replace(before, balance=before.balance - credits, entries_count=before.entries_count + 1)
        return ledger.append(user_id, credits=-credits, kind=kind, actor=actor, read=after, **facts)


def set_aside(*, user_id: str, credits: int, product: str) -> Standing:
    """Set credits aside for a new hold of a product. Return the wallet's standing after it, with the time.

    The caller runs this in `spending` and then writes the hold. Raises InsufficientCredits, WalletFrozen, or
    TooManyHolds.
    """
    assert credits > 0, "a hold sets a positive number of credits aside"
    # With few open holds in the wallet, the product has few, too.
    if ledger.set_aside_plainly(user_id, credits, open_holds_max=OPEN_HOLDS_OF_PRODUCT_MAX):
        return lapsing.lapse(user_id, ledger.standing(user_id))
    before = _judged(user_id, credits, is_charge=True)
    opened = Hold.objects.filter(wallet_id=user_id, state=Hold.State.OPEN)
    of_product = opened.filter(product=product).count()
    if of_product >= OPEN_HOLDS_OF_PRODUCT_MAX or opened.count() >= OPEN_HOLDS_MAX:
        raise TooManyHolds(lapsed=before.lapsed)
    ledger.change(user_id, held=credits, open_holds=1)
    return replace(before, held=before.held + credits)


def _judged(user_id: str, credits: int, *, is_charge: bool) -> Standing:
    """Lock the wallet, end what is overdue, and return its standing, if it can spend the credits."""
    read = ledger.lock(user_id)
    if read is None:
        raise InsufficientCredits(available=0, required=credits)
    before = lapsing.lapse(user_id, read)
    if before.frozen and is_charge:
        raise WalletFrozen(available=before.available, required=credits, lapsed=before.lapsed)
    if before.available < credits:
        raise InsufficientCredits(available=before.available, required=credits, lapsed=before.lapsed)
    return before
