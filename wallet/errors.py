"""The errors that functions of the wallet raise."""

from foundation import money
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
