"""Make many charges in one request.

The charges of one wallet are made in transactions of at most 50, and the wallets follow one after the other,
so no transaction locks two wallets. Each charge is judged by itself: a refusal does not stop the next one.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Sum

from accounts.actors import actor_of
from accounts.models import ServiceKey
from accounts.service_keys import read_again, require_may_charge
from foundation.database import compiled
from foundation.database.compiled import Rows
from foundation.database.transactions import is_out_of_reach, retried
from foundation.errors import BillingError, first_line
from wallet.books import ledger
from wallet.books.ledger import SeveralCharges, Standing
from wallet.books.models import Entry
from wallet.charges import deductions
from wallet.charges.deductions import Charge
from wallet.errors import InsufficientCredits, UnknownFeature
from wallet.prices import rates

logger = logging.getLogger(__name__)

ITEMS_MAX = 500
ITEMS_OF_TRANSACTION_MAX = 50
SECONDS_MAX = 8.0  # A client waits 12 seconds.

# After these errors the server answers, and only this wallet could not be charged: the wait for its lock or a
# statement took too long, its transaction was the victim of a deadlock, or a release must not move it.
ERRORS_OF_ONE_WALLET = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


COLUMNS = [field.attname for field in Entry._meta.concrete_fields]
# The charges that were made with these keys. The index of keys has no empty key, so the query says so, too.
CHARGES_OF_KEYS = compiled.written(
    f"""
    SELECT {", ".join(COLUMNS)} FROM wallet_entry
     WHERE wallet_id = %(user_id)s AND product = %(product)s AND kind = 'deduct'
       AND idempotency_key = ANY(%(keys)s) AND idempotency_key <> ''
    """  # noqa: S608 (the columns of our own table)
)


@dataclass(frozen=True, slots=True)
class Item:
    """One charge of a batch: `count` units of a feature, for a user, with its idempotency key."""

    user_id: str
    feature: str
    count: int
    key: str


# What became of an item: its charge, the error that the single charge would have raised, or None if it is not
# known (it was not begun in time, or the database could not be reached).
Outcome = Charge | Exception | None


def deduct_all(*, service: ServiceKey, items: Sequence[Item]) -> list[Outcome]:
    """Charge each item as `deductions.deduct` does, and return what became of each, in their order.

    It begins nothing after SECONDS_MAX. No error is raised; the outcomes have them.
    """
    outcomes: list[Outcome] = [None] * len(items)
    end_at = time.monotonic() + SECONDS_MAX
    for places in _places_by_wallet(items):
        try:
            for start in range(0, len(places), ITEMS_OF_TRANSACTION_MAX):
                some = places[start : start + ITEMS_OF_TRANSACTION_MAX]
                made = charge_wallet(service, [items[place] for place in some], end_at=end_at)
                for place, outcome in zip(some, made, strict=False):
                    outcomes[place] = outcome
        except Exception as error:
            if not is_out_of_reach(error):
                raise
            logger.warning("Database out of reach in a batch: %s", first_line(error))
            if not isinstance(error.__cause__, ERRORS_OF_ONE_WALLET):
                break
    return outcomes


def _places_by_wallet(items: Sequence[Item]) -> Iterator[list[int]]:
    """Yield the places of each wallet's items, the wallets in the order of their ids."""
    by_wallet: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        by_wallet[item.user_id].append(place)
    for user_id in sorted(by_wallet):
        yield by_wallet[user_id]


def charge_wallet(service: ServiceKey, items: Sequence[Item], *, end_at: float) -> Iterator[Outcome]:
    """Charge at most 50 items of one wallet, each by itself, and yield what became of each, in their order.

    It begins nothing after `end_at` (of the monotonic clock). Then it yields fewer outcomes than items.
    Raises the error if the database is out of reach.
    """
    if len(items) > 1 and time.monotonic() < end_at:
        try:
            together = _together(service, items)
        except Exception as error:
            if is_out_of_reach(error):
                raise
            # Such as a law that refuses one of them. Alone, the others go on.
            logger.exception("Charges of one wallet could not be made together")
            together = None
        if together is not None:
            yield from together
            return
    for item in items:
        if time.monotonic() >= end_at:
            return
        yield _alone(service, item)


def _alone(service: ServiceKey, item: Item) -> Outcome:
    try:
        return deductions.deduct(
            service=service, user_id=item.user_id, feature=item.feature, count=item.count, key=item.key
        )
    except Exception as error:
        if is_out_of_reach(error):
            raise
        return error


@retried
def _together(service: ServiceKey, items: Sequence[Item]) -> list[Outcome] | None:
    """Charge items of one wallet in one transaction. None if the wallet must be charged one by one.

    That is so if it has grants, budgets, a freeze, or a hold to write off. Then a charge looks at more than
    the wallet's row, and a refusal takes back what it wrote off.
    """
    user_id = items[0].user_id
    outcomes: list[Outcome] = []
    with transaction.atomic():
        remembered = {
            feature: per_unit
            for feature in {item.feature for item in items}
            if (per_unit := rates.remembered(feature)) and service.may_charge(feature)
        }
        proofs = [deductions.FIND_TERMS(**deductions.terms(service, *price)) for price in remembered.items()]
        keys = [item.key for item in items]
        used = CHARGES_OF_KEYS(user_id=user_id, product=service.product, keys=keys)
        read, (made, *proven) = ledger.lock_and_read(user_id, used, *proofs)
        if read is not None and not _is_plain(read):
            return None
        prices: Mapping[str, int] = remembered
        if not all(proven) or any(item.feature not in remembered for item in items):
            try:
                service = read_again(service)
            except BillingError as refused:
                return [refused] * len(items)
            prices = rates.prices({item.feature for item in items})
        charges = SeveralCharges(read, actor=actor_of(service), product=service.product) if read else None
        run = _Run(service, charges, prices, firsts=_with_what_was_given_back(made))
        for item in items:
            try:
                outcomes.append(run.charge(item))
            except BillingError as refused:
                outcomes.append(refused)
        if charges:
            charges.write()
    return outcomes


@dataclass(frozen=True)
class _Run:
    """What the charges of one transaction are judged by. `charges` is None if the user has no wallet.

    `prices` has the credits for one unit of each feature. `firsts` has the charges that were made with these
    keys, each with the credits that were given back of it. The charges of this transaction are added to it.
    """

    service: ServiceKey
    charges: SeveralCharges | None
    prices: Mapping[str, int]
    firsts: dict[str, tuple[Entry, int]]

    def charge(self, item: Item) -> Charge:
        """Make a charge, or return the first one of its key. Raises what `deductions.deduct` raises."""
        require_may_charge(self.service, item.feature)
        if item.key in self.firsts:
            first, given_back = self.firsts[item.key]
            return deductions.replay(first, feature=item.feature, count=item.count, given_back=given_back)
        if item.feature not in self.prices:
            raise UnknownFeature(item.feature)
        credits = self.prices[item.feature] * item.count
        available = self.charges.available if self.charges else 0
        if self.charges is None or available < credits:
            raise InsufficientCredits(available=available, required=credits)
        entry = self.charges.add(credits, feature=item.feature, count=item.count, key=item.key)
        self.firsts[item.key] = (entry, 0)
        return Charge(entry, replayed=False)


def _is_plain(read: Standing) -> bool:
    return not (read.granted or read.budgets or read.frozen or read.has_overdue)


def _with_what_was_given_back(made: Rows) -> dict[str, tuple[Entry, int]]:
    """Return the charges in rows of `CHARGES_OF_KEYS` by their keys, each with the credits given back."""
    if not made:
        return {}
    entries = [Entry.from_db(DEFAULT_DB_ALIAS, COLUMNS, row) for row in made]
    reversals = Entry.objects.filter(
        wallet_id=entries[0].wallet_id, reverses__in=[entry.pk for entry in entries]
    )
    given_back = dict(reversals.values_list("reverses_id").annotate(Sum("credits")))
    return {entry.idempotency_key: (entry, given_back.get(entry.pk, 0)) for entry in entries}
