"""Grants and budgets as products, users and staff make them."""

from datetime import timedelta
from typing import Any

from wallet import identifiers
from wallet.books import ledger
from wallet.charges import budgets
from wallet.charges.counters import BudgetNow
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Lot

A_DAY = timedelta(days=1)
CAPS = Caps(grant=1_000_000, month=1_000_000_000)


def grant(
    user_id: str = "usr_1",
    credits: int = 10,
    *,
    lasts: timedelta = A_DAY,
    product: str = "blog",
    **asked: Any,
) -> Lot:
    """Grant credits that end so long after now, by the database's clock; without a product, as staff do."""
    request: dict[str, Any] = {
        "expires_at": ledger.funds_of(user_id).at + lasts,
        "reason": "Welcome",
        "key": identifiers.grant_id(),
        "actor": "service:wsk_test" if product else "user:staff:1",
        "caps": CAPS if product else None,
        **asked,
    }
    return granting.grant(user_id=user_id, credits=credits, product=product, **request).lot


def void(lot: Lot) -> granting.Voided:
    return granting.void(user_id=lot.wallet_id, grant_id=lot.pk, product=lot.product)


def set_budget(
    credits: int, user_id: str = "usr_1", *, set_by: str = "user", product: str = "", period: str = "day"
) -> BudgetNow:
    """Set a budget; without a product, the user's over all products."""
    return budgets.set_budget(user_id=user_id, set_by=set_by, product=product, period=period, credits=credits)


def lots_of(user_id: str = "usr_1") -> list[tuple[int, int, int]]:
    """What the rows of lots say, in spendable order: what is left, what is held, what was written off."""
    lots = Lot.objects.filter(wallet_id=user_id).in_spendable_order()
    return list(lots.values_list("remaining", "held", "expired"))


def spent(user_id: str = "usr_1") -> list[int]:
    """What each budget says that was spent: the user's own first, then by product and period."""
    return [budget.spent for budget in budgets.budgets_of(user_id)]
