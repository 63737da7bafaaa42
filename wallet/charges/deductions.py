"""Charging for the use of a feature: atomic, idempotent, fail-closed."""

from dataclasses import dataclass

from django.db import IntegrityError

from accounts.actors import actor_of
from accounts.errors import FeatureNotAllowed
from accounts.models import ServiceKey
from foundation.database.transactions import retried
from foundation.errors import BillingError, KeyReused
from wallet.books import ledger
from wallet.books.models import Entry
from wallet.errors import ChargeGivenBack
from wallet.prices import rates

COUNT_MAX = 1_000_000


@dataclass(frozen=True)
class Charge:
    """A charge that was allowed, and whether it is a replay."""

    entry: Entry
    replayed: bool


@retried
def deduct(*, service: ServiceKey, user_id: str, feature: str, count: int = 1, key: str = "") -> Charge:
    """Charge `count` units (1 to 1,000,000) of a feature at its current rate, for the product of `service`.

    With a key, the same request again returns the first charge, whatever happened to the balance or
    the rate since; a refusal leaves the key free. Raises FeatureNotAllowed if the service key may not charge
    this feature, InsufficientCredits, UnknownFeature, KeyReused and ChargeGivenBack; nothing has moved then.
    """
    if not service.may_charge(feature):
        raise FeatureNotAllowed(feature)
    try:
        entry = ledger.debit(
            user_id=user_id,
            credits=rates.price(feature, count),
            kind=Entry.Kind.DEDUCT,
            actor=actor_of(service),
            feature=feature,
            count=count,
            product=service.product,
            idempotency_key=key,
        )
    except (IntegrityError, BillingError):
        # A used key always ends here: its second entry meets the unique constraint, or is refused because
        # there is no rate or too few credits. So the history decides before the refusal does.
        used = Entry.objects.with_key(
            user_id=user_id, product=service.product, kind=Entry.Kind.DEDUCT, key=key
        )
        if key and (first := used.first()):
            return _replay(first, feature=feature, count=count)
        raise
    return Charge(entry, replayed=False)


def _replay(first: Entry, *, feature: str, count: int) -> Charge:
    if (first.feature, first.count) != (feature, count):
        raise KeyReused("This idempotency_key was used for another feature or count")
    if Entry.objects.given_back(first) >= first.charged:
        raise ChargeGivenBack
    return Charge(first, replayed=True)
