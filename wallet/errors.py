"""What can stop a verb of the wallet."""

from foundation.errors import BillingError, TryAgainLater


class InsufficientCredits(BillingError):
    """Raised when a debit asks for more than the wallet holds. `balance` is below `required`, in credits."""

    def __init__(self, *, balance: int, required: int) -> None:
        self.balance, self.required = balance, required
        super().__init__(f"The wallet holds {balance} credits; {required} are required")


class UnknownFeature(BillingError):
    """Raised when a feature has no active rate: it is never free."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"Unknown feature: {feature}")


class RateThere(BillingError):
    """Raised when a price is added for a feature that has one, in use or withdrawn."""

    status = 409

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} has a price already: change that one")


class KeyReused(BillingError):
    """Raised when an idempotency key comes again with another request."""

    status = 409
    sentence = "This idempotency_key was used for another feature or count"


class ChargeGivenBack(BillingError):
    """Raised when a key comes again whose charge has been given back in whole."""

    status = 409
    sentence = "This charge was given back; use a new key"


class NothingToGiveBack(BillingError):
    """Raised when more would be given back than an entry still holds, or of an entry that is no charge."""


class InvalidCursor(BillingError):
    """Raised when a cursor is malformed or belongs to another wallet."""

    sentence = "Invalid cursor"


class StripeOutOfReach(TryAgainLater):
    """Raised when Stripe does not answer, refuses us, or too many requests wait for it already."""

    def __init__(self) -> None:
        super().__init__("Checkout is not available right now; please try again.", retry_after_seconds=5)


class TopUpDone(BillingError):
    """Raised when a top-up's form comes again whose payment was made, or is on its way."""

    status = 409

    def __init__(self, *, on_its_way: bool) -> None:
        self.on_its_way = on_its_way
        paid = "The payment of this top-up is on its way" if on_its_way else "This top-up was paid already"
        super().__init__(f"{paid}. Nothing was charged again.")


class CheckoutOver(BillingError):
    """Raised when a top-up's form comes again whose checkout failed or has ended."""

    status = 409
    sentence = "This checkout has ended. Nothing was charged; start again."


class NotToResolve(BillingError):
    """Raised when an event cannot be resolved by hand as asked: it is done, or its payment has come in."""

    status = 409


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
