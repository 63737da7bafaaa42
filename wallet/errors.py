"""The errors that functions of the wallet raise."""

from foundation.errors import BillingError, Conflict, TryAgainLater


class InsufficientCredits(BillingError):
    """Raised when a debit needs more credits than the wallet has.

    `balance` and `required` are in credits; `balance` is less than `required`.
    """

    def __init__(self, *, balance: int, required: int) -> None:
        self.balance, self.required = balance, required
        super().__init__(f"The wallet holds {balance} credits; {required} are required")


class UnknownFeature(BillingError):
    """Raised when a feature has no active rate. Such a feature cannot be charged."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"Unknown feature: {feature}")


class RateThere(Conflict):
    """Raised when staff add a price for a feature that has one already, active or not."""


class ChargeGivenBack(Conflict):
    """Raised when a caller repeats a charge with the same key, but the charge has been fully given back."""

    sentence = "This charge was given back; use a new key"


class NothingToGiveBack(BillingError):
    """Raised when too few credits of a charge are left to give back, or when the entry is not a charge."""


class StripeOutOfReach(TryAgainLater):
    """Raised when Stripe does not answer or refuses our call, or when too many requests wait for Stripe."""

    sentence = "Checkout is not available right now; please try again."
    headers = {"Retry-After": "5"}


class NotToResolve(Conflict):
    """Raised when staff cannot resolve an event: it is already handled, or its payment is credited."""


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
