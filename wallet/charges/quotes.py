"""Say what a charge would answer now, without a charge and without a promise."""

from dataclasses import dataclass

from accounts.models import ServiceKey
from accounts.service_keys import require_may_charge
from wallet.books.funds import funds_of
from wallet.charges import budgets, counters
from wallet.errors import InsufficientCredits, WalletFrozen
from wallet.prices import rates


@dataclass(frozen=True)
class Quote:
    """A charge that would pass: what it would take, and what is available before and after it, in credits."""

    available_before: int
    charged: int

    @property
    def available_after(self) -> int:
        return self.available_before - self.charged


def quote(*, service: ServiceKey, user_id: str, feature: str, count: int = 1) -> Quote:
    """Price `count` units of a feature for a user, as `deduct` would charge them now.

    Raises what `deduct` would raise: ProductStopped, FeatureNotAllowed, UnknownFeature, WalletFrozen,
    BudgetSpent, or InsufficientCredits.
    """
    require_may_charge(service, feature)
    required = rates.price(feature, count)
    funds = funds_of(user_id)
    if funds.frozen:
        raise WalletFrozen(available=funds.available, required=required)
    counters.require_room(
        budgets.budgets_of(user_id, service.product, now=funds.at),
        available=funds.available,
        required=required,
    )
    if funds.available < required:
        raise InsufficientCredits(available=funds.available, required=required)
    return Quote(funds.available, required)
