"""Charging for the use of a feature: atomic, idempotent, fail-closed."""

from dataclasses import dataclass

from django.db import IntegrityError

from foundation.database.transactions import retried
from foundation.errors import BillingError, KeyReused
from wallet.books import ledger
from wallet.books.models import Entry
from wallet.errors import ChargeGivenBack
from wallet.prices import rates

COUNT_MAX = 1_000_000


@dataclass(frozen=True)
class Charge:
    """A charge that was allowed, and whether this is its first answer or the same again."""

    entry: Entry
    replayed: bool


@retried
def deduct(*, user_id: str, feature: str, count: int = 1, key: str = "", product: str, actor: str) -> Charge:
    """Charge `count` units (1 to 1,000,000) of a feature at its rate of this moment.

    With a key, the same request again gives the first charge again, whatever happened to the balance or
    the rate since; a refusal leaves the key free. Raises InsufficientCredits, UnknownFeature, KeyReused
    and ChargeGivenBack; nothing has moved then.
    """
    try:
        entry = ledger.debit(
            user_id=user_id,
            credits=rates.price(feature, count),
            kind=Entry.Kind.DEDUCT,
            actor=actor,
            feature=feature,
            count=count,
            product=product,
            idempotency_key=key,
        )
    except (IntegrityError, BillingError):
        # A key that was used always ends here: its second entry meets the unique constraint, or is
        # refused for want of a rate or of credits. So the history decides before the refusal does.
        if key and (first := _first_charge(user_id=user_id, product=product, key=key)):
            return _replay(first, feature=feature, count=count)
        raise
    return Charge(entry, replayed=False)


def _first_charge(*, user_id: str, product: str, key: str) -> Entry | None:
    kind = Entry.Kind.DEDUCT
    return Entry.objects.with_key(user_id=user_id, product=product, kind=kind, key=key).first()


def _replay(first: Entry, *, feature: str, count: int) -> Charge:
    if (first.feature, first.count) != (feature, count):
        raise KeyReused("This idempotency_key was used for another feature or count")
    if Entry.objects.given_back(first) >= first.charged:
        raise ChargeGivenBack
    return Charge(first, replayed=True)
