"""What can stop a verb of the wallet."""

from foundation.errors import BillingError, Conflict, TryAgainLater


class InsufficientCredits(BillingError):
    """Raised when a debit asks for more than the wallet holds. `balance` is below `required`, in credits."""

    def __init__(self, *, balance: int, required: int) -> None:
        self.balance, self.required = balance, required
        super().__init__(f"The wallet holds {balance} credits; {required} are required")


class UnknownFeature(BillingError):
    """Raised when a feature has no active rate: it is never free."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"Unknown feature: {feature}")


class RateThere(Conflict):
    """Raised when a price is added for a feature that has one, active or withdrawn."""


class ChargeGivenBack(Conflict):
    """Raised when a key comes again whose charge has been given back in whole."""

    sentence = "This charge was given back; use a new key"


class NothingToGiveBack(BillingError):
    """Raised when more would be given back than is left of an entry, or the entry is no charge."""


class StripeOutOfReach(TryAgainLater):
    """Raised when Stripe does not answer or refuses us, or too many requests wait for it already."""

    sentence = "Checkout is not available right now; please try again."
    headers = {"Retry-After": "5"}


class NotToResolve(Conflict):
    """Raised when an event cannot be resolved by hand: it is done, or its payment has come in."""


class BadSignature(BillingError):
    """Raised when a webhook is not signed by Stripe, is too old or too new, or cannot be read."""

    sentence = "Invalid Stripe signature"


class UnreadableEvent(BillingError):
    """Raised when a signed webhook is no event."""

    sentence = "The body is not a Stripe event"


class EventFailed(TryAgainLater):
    """Raised when an event was stored but its effect failed; Stripe delivers it again."""

    sentence = "The event was stored but could not be handled yet"


class GapInHistory(BillingError):
    """Raised when a wallet's entries do not follow one another: the laws of the books are broken."""

    status = 500
    sentence = "This wallet's history has a gap"
