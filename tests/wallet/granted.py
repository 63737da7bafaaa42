"""Grants and budgets as products, users and staff make them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from tests.wallet import by_hand
from tests.wallet.entries import sql
from tests.wallet.resting import resting_triggers
from wallet import identifiers
from wallet.books import ledger
from wallet.books.funds import funds_of
from wallet.charges import budgets, lots
from wallet.charges.counters import BudgetNow
from wallet.grants import caps as product_caps
from wallet.grants import granting
from wallet.grants.caps import Caps
from wallet.models import Entry, Lot

A_DAY, HALF_AN_HOUR = timedelta(days=1), timedelta(minutes=30)
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
        "expires_at": funds_of(user_id).at + lasts,
        "reason": "Welcome",
        "key": identifiers.grant_id(),
        "actor": "service:wsk_test" if product else "user:staff:1",
        "caps": CAPS if product else None,
        **asked,
    }
    verb = granting.grant if product else by_hand.grant
    return verb(user_id=user_id, credits=credits, product=product, **request).lot


def void(lot: Lot) -> granting.Voided:
    return granting.void(user_id=lot.wallet_id, grant_id=lot.pk, product=lot.product)


@transaction.atomic
def past_grant(
    user_id: str = "usr_1",
    credits: int = 10,
    *,
    ended: timedelta | None = HALF_AN_HOUR,
    at: datetime | None = None,
    product: str = "blog",
    reason: str = "Welcome",
) -> Lot:
    """A grant of then that ended so long ago, or with None ends tomorrow. Nothing was written off.

    The user's entries before it must be older.
    """
    now = timezone.now()
    ends = now + A_DAY if ended is None else now - ended
    ledger.open_wallet(user_id)
    read = ledger.lock(user_id)
    assert read is not None, "the wallet was opened"
    began = at or min(ends, now) - 2 * HALF_AN_HOUR
    entry, _ = ledger.post(
        replace(read, read_at=began),
        credits=credits,
        granted=credits,
        kind=Entry.Kind.GRANT,
        actor="service:wsk_test" if product else "user:staff:1",
        product=product,
        reason=reason,
        idempotency_key=identifiers.grant_id(),
    )
    by_hand.sign_entry(entry)
    lot = Lot.objects.create(
        wallet_id=user_id,
        entry=entry,
        product=product,
        reason=reason,
        credits=credits,
        remaining=credits,
        created_at=began,
        expires_at=ends,
    )
    lots.begin(entry, lot)
    if product:
        # A time never falls, so after an entry of today the grant is in the month of now.
        product_caps.count(product, CAPS, credits, month=entry.created_at.date().replace(day=1))
    return lot


def past_grants(number: int, user_id: str = "usr_1", *, credits: int = 1) -> list[Lot]:
    """So many grants that were made an hour and a half ago and ended half an hour ago, whole in the books."""
    return [past_grant(user_id, credits) for _ in range(number)]


def lots_alone(number: int, lot: Lot, **columns: str) -> None:
    """Add so many rows of lots like this one, which no entry granted. The history no longer adds up.

    `columns` says in SQL what is different in a row; `n` is its number, from 1.
    """
    names = [field.column for field in Lot._meta.concrete_fields if field.column is not None]
    values = {"id": "'grant_' || n", "entry_id": "'txn_' || n"} | columns
    chosen = ", ".join(values.get(name, name) for name in names)
    with resting_triggers():
        sql(
            f"INSERT INTO wallet_lot ({', '.join(names)}) SELECT {chosen}"
            f" FROM wallet_lot, generate_series(1, {number}) AS n WHERE id = %s",
            lot.pk,
        )
        left = "SELECT sum(remaining) FROM wallet_lot WHERE wallet_id = user_id"
        sql(f"UPDATE wallet_wallet SET granted = ({left}) WHERE user_id = %s", lot.wallet_id)


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
