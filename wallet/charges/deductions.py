"""Charge a user for the use of a feature.

A charge is one transaction, and an idempotency key makes a retry safe. If anything fails, the charge is
refused.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.db.models import Exists, QuerySet
from django.db.models.functions import Now

from accounts import service_keys
from accounts.actors import actor_of
from accounts.models import Right, ServiceKey, StoppedProduct
from accounts.service_keys import require_may_charge
from foundation.database import compiled
from foundation.database.compiled import Call, Slot, number, text
from foundation.database.transactions import retried
from foundation.errors import BillingError, KeyReused
from wallet.books.ledger import Unproven
from wallet.books.models import Entry
from wallet.charges import debits
from wallet.errors import ChargeGivenBack
from wallet.prices import rates
from wallet.prices.models import Rate

COUNT_MAX = 1_000_000


def _terms() -> QuerySet[Rate, tuple[int]]:
    """Find a row if the key may charge the same features, its product is not stopped, and the price holds."""
    prefixes = Slot("prefixes", ServiceKey._meta.get_field("feature_prefixes"))
    key = ServiceKey.objects.usable(Now()).filter(pk=number("key"), rights__contains=[Right.CHARGE])
    return Rate.objects.filter(
        Exists(key.filter(feature_prefixes=prefixes)),
        ~Exists(StoppedProduct.objects.filter(product=text("product"))),
        feature=text("feature"),
        credits=number("credits"),
        active=True,
    ).values_list("pk")


FIND_TERMS = compiled.select(_terms)
REQUIRE_TERMS = compiled.must_find(_terms)


@dataclass(frozen=True)
class Charge:
    """A charge that was allowed. `replayed` is true if an earlier request with the same key made it."""

    entry: Entry
    replayed: bool


@retried
def deduct(*, service: ServiceKey, user_id: str, feature: str, count: int = 1, key: str = "") -> Charge:
    """Charge `count` units (1 to 1,000,000) of a feature at its current rate, for the product of `service`.

    The same request with the same key returns the first charge, even if the balance or the rate has changed
    since. If a charge is refused, its key can be used again. `service` may be a remembered key. Raises
    InvalidServiceKey, MissingRight, ProductStopped or FeatureNotAllowed if the key may not charge this
    feature; InsufficientCredits, WalletFrozen, BudgetSpent, UnknownFeature, KeyReused or ChargeGivenBack.
    After an error, no credits were taken.
    """
    charge = partial(_charge, user_id=user_id, feature=feature, count=count, key=key)
    if (per_unit := rates.remembered(feature)) and service.may_charge(feature):
        # The charge proves in its own transaction that the key and the price still hold. So a process can
        # remember them, and a change of either is obeyed from the moment on that it is committed.
        with suppress(Unproven):
            return charge(service, per_unit, proof=REQUIRE_TERMS(**terms(service, feature, per_unit)))
    service = service_keys.looked_up(service)
    require_may_charge(service, feature)
    return charge(service, None)


def terms(service: ServiceKey, feature: str, per_unit: int) -> dict[str, Any]:
    """Return the key and the price for which FIND_TERMS finds a row, if they still hold."""
    return {
        "key": service.pk,
        "prefixes": service.feature_prefixes,
        "product": service.product,
        "feature": feature,
        "credits": per_unit,
    }


def _charge(
    service: ServiceKey,
    per_unit: int | None,
    *,
    user_id: str,
    feature: str,
    count: int,
    key: str,
    proof: Call | None = None,
) -> Charge:
    """Charge, or return the first charge of a used key. Without `per_unit`, the price is read."""
    try:
        entry = debits.debit(
            user_id=user_id,
            credits=per_unit * count if per_unit else rates.price(feature, count),
            kind=Entry.Kind.DEDUCT,
            actor=actor_of(service),
            proof=proof,
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
            return replay(first, feature=feature, count=count, given_back=Entry.objects.given_back(first))
        raise
    return Charge(entry, replayed=False)


def replay(first: Entry, *, feature: str, count: int, given_back: int) -> Charge:
    """Return the first charge of a key, of which so many credits were given back since.

    Raises KeyReused if it was another request, or ChargeGivenBack.
    """
    if (first.feature, first.count) != (feature, count):
        raise KeyReused("This idempotency_key was used for another feature or count")
    if given_back >= first.charged:
        raise ChargeGivenBack
    return Charge(first, replayed=True)
