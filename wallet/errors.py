"""The errors that functions of the wallet raise."""

from collections.abc import Mapping
from typing import Any

from foundation import money
from foundation.errors import BillingError, Conflict, TryAgainLater


class InsufficientCredits(BillingError):
    """Raised when a debit or a hold needs more credits than the wallet has available.

    `available` and `required` are in credits; `available` is less than `required`. `lapsed` is how many
    overdue holds and ended grants the refused transaction had written off. `limited_by` says what else limits
    the wallet.
    """

    limited_by: Mapping[str, Any] | None = None

    def __init__(self, *, available: int, required: int, lapsed: int = 0) -> None:
        self.available, self.required, self.lapsed = available, required, lapsed
        super().__init__(f"The wallet has {available} credits available; {required} are required")


class WalletFrozen(InsufficientCredits):
    """Raised when a frozen wallet is charged. Nothing is available for a charge, whatever the wallet has."""

    limited_by = {"limit": "frozen"}

    def __init__(self, *, available: int, required: int, lapsed: int = 0) -> None:
        super().__init__(available=min(available, 0), required=required, lapsed=lapsed)


class BudgetSpent(InsufficientCredits):
    """Raised when a budget has less left than a charge requires, although more credits are available.

    `budget` is the budget that limits the charge, as a refusal names it. `available` is what it has left.
    """

    def __init__(self, budget: Mapping[str, Any], *, available: int, required: int, lapsed: int = 0) -> None:
        self.limited_by = budget
        super().__init__(available=available, required=required, lapsed=lapsed)


class UnknownFeature(BillingError):
    """Raised when a feature has no active rate. Such a feature cannot be charged."""

    code = "unknown_feature"

    def __init__(self, feature: str) -> None:
        super().__init__(f"Unknown feature: {feature}")


class RateThere(Conflict):
    """Raised when staff add a price for a feature that has one already, active or not."""


class ChargeGivenBack(Conflict):
    """Raised when a caller repeats a charge with the same key, but the charge has been fully given back."""

    sentence = "This charge was given back; use a new key"


class NothingToGiveBack(Conflict):
    """Raised when too few credits of a charge are left to give back. `refundable` says how many are left."""

    code = "nothing_left"

    def __init__(self, refundable: int) -> None:
        self.facts = {"refundable": refundable}
        left = f"{money.credits(refundable)} of this charge {'is' if refundable == 1 else 'are'} left"
        super().__init__(f"{left} to give back" if refundable else "This charge was given back in full")


class NotFound(BillingError):
    """Raised when a product names a charge or a hold that this product and user do not have."""

    status = 404


class TooManyHolds(Conflict):
    """Raised when a wallet, or a product in this wallet, has as many open holds as it may have.

    `lapsed` is how many overdue holds the refused transaction had ended.
    """

    code = "too_many"
    sentence = "Too many holds of this user are open; capture or void some first"

    def __init__(self, *, lapsed: int) -> None:
        self.lapsed = lapsed
        super().__init__()


class TooManyGrants(Conflict):
    """Raised when a wallet has as many grants with credits left as it may have, or a product in it."""

    code = "too_many"
    sentence = "This user has too many grants with credits left; void some first"


class TooManyBudgets(Conflict):
    """Raised when a wallet has as many budgets as it may have."""

    code = "too_many"
    sentence = "This user has too many budgets; remove some first"


class OverCap(Conflict):
    """Raised when a grant is above what the service key may grant. `left` is what it may still grant."""

    code = "over_cap"

    def __init__(self, left: int) -> None:
        self.facts = {"left": left}
        super().__init__(f"The key may grant at most {money.credits(left)} now")


class GrantEndOutOfRange(BillingError):
    """Raised when a grant should end too soon or too late."""

    sentence = "expires_at must be between one minute and five years ahead"


class FutureTime(BillingError):
    """Raised when a caller asks for what a wallet will have at a time that has not come."""

    sentence = "at must not be in the future"


class KeyEnded(Conflict):
    """Raised when a caller repeats a hold or a grant with the same key, but it has ended since."""

    code = "key_ended"
    sentence = "The hold of this key has ended or its charge was given back; use a new key"


class GrantVoided(KeyEnded):
    """Raised when a caller repeats a grant with the same key, but the grant was voided."""

    sentence = "The grant of this key was voided; use a new key"


class HoldCaptured(Conflict):
    """Raised when a captured hold should be captured with another count, voided or extended."""

    code = "hold_captured"
    sentence = "This hold was captured"


class HoldVoided(Conflict):
    """Raised when a voided hold should be captured or extended."""

    code = "hold_voided"
    sentence = "This hold was voided"


class HoldExpired(Conflict):
    """Raised when a hold that has reached its end should be captured or extended."""

    code = "hold_expired"
    sentence = "This hold has expired"


class HoldTooOld(Conflict):
    """Raised when a hold should last longer than seven days."""

    code = "hold_too_old"
    sentence = "A hold lasts at most 7 days from its beginning"


class MoreThanHeld(BillingError):
    """Raised when more units should be captured than the hold was made for."""


class StripeOutOfReach(TryAgainLater):
    """Raised when Stripe does not answer or refuses our call, or when too many requests wait for Stripe."""

    sentence = "Checkout is not available right now; please try again."
    headers = {"Retry-After": "5"}


class WrongAnswer(StripeOutOfReach):
    """Raised when Stripe answers, and the answer cannot be used."""


class NotToResolve(Conflict):
    """Raised when staff cannot resolve an event: it is already handled, or its payment is credited."""


class NotRefundable(Conflict):
    """Raised when a top-up cannot be refunded, or not by this amount. The sentence says why."""


class LeavesDebt(Conflict):
    """Raised when a refund would leave a debt, or a larger debt than the staff member has accepted.

    `taken` is how many credits the refund takes back, `balance` how many the user has, `debt` how many the
    user would then owe.
    """

    def __init__(self, *, taken: int, balance: int) -> None:
        self.taken, self.balance, self.debt = taken, balance, taken - balance
        super().__init__(
            f"This refund takes back {money.credits(taken)}. The user has {money.plain(balance)}, "
            f"so it leaves a debt of {money.credits(self.debt)}."
        )


class RefundUnanswered(TryAgainLater):
    """Raised when Stripe did not answer the request for a refund. The refund may have been made."""

    sentence = (
        "Stripe has not answered, so the refund may have been made or not. Send this form again: "
        "the same refund is never made twice."
    )


class RefundRefused(Conflict):
    """Raised when Stripe refused a refund. The sentence says why."""


class BadSignature(BillingError):
    """Raised when a webhook has no valid signature of Stripe, is too old or too new, or cannot be read."""

    sentence = "Invalid Stripe signature"


class UnreadableEvent(BillingError):
    """Raised when a webhook has a valid signature but its body is not a Stripe event."""

    sentence = "The body is not a Stripe event"


class EventFailed(TryAgainLater):
    """Raised when an event was stored but could not be handled. Stripe delivers it again."""

    sentence = "The event was stored but could not be handled yet"


class GapInHistory(BillingError):
    """Raised when an entry that must exist is missing from a wallet's history. The ledger is then damaged."""

    status = 500
    sentence = "This wallet's history has a gap"
