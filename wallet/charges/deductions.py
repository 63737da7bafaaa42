"""Charge a user for the use of a feature.

A charge is one transaction, and an idempotency key makes a retry safe. If anything fails, the charge is
refused.
"""

from dataclasses import dataclass

from django.db import IntegrityError

from accounts.actors import actor_of
from accounts.models import ServiceKey
from accounts.service_keys import require_may_charge
from foundation.database.transactions import retried
from foundation.errors import BillingError, KeyReused
from wallet.books.models import Entry
from wallet.charges import debits
from wallet.errors import ChargeGivenBack
from wallet.prices import rates

COUNT_MAX = 1_000_000


@dataclass(frozen=True)
class Charge:
    """A charge that was allowed. `replayed` is true if an earlier request with the same key made it."""

    entry: Entry
    replayed: bool


@retried
def deduct(*, service: ServiceKey, user_id: str, feature: str, count: int = 1, key: str = "") -> Charge:
    """Charge `count` units (1 to 1,000,000) of a feature at its current rate, for the product of `service`.

    The same request with the same key returns the first charge, even if the balance or the rate has changed
    since. If a charge is refused, its key can be used again. Raises ProductStopped or FeatureNotAllowed if
    the service key may not charge this feature, InsufficientCredits, WalletFrozen, UnknownFeature, KeyReused
    or ChargeGivenBack. After an error, no credits were taken.
    """
    require_may_charge(service, feature)
    try:
        entry = debits.debit(
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
        # Every request with a used key gets here: the unique constraint refuses a second entry, there is no
        # rate, or the balance is too low. If the key has a first charge, return it instead of the error.
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
    if Entry.objects.is_given_back(first):
        raise ChargeGivenBack
    return Charge(first, replayed=True)
