"""The errors that the functions of monetization raise."""

from collections.abc import Sequence

from foundation.errors import BillingError, Conflict


class NotFound(BillingError):
    """Raised when a row does not exist or belongs to another creator. The answer is the same for both."""

    status = 404
    sentence = "Not found"


class AlreadyRecorded(Conflict):
    """Raised when a Stripe id was recorded before with other values, such as another amount."""


class EndsBeforeItBegins(BillingError):
    """Raised when the end of a placement is not after its beginning."""

    sentence = "A placement must end after it begins"


class PositionTaken(Conflict):
    """Raised when a creator's rule allows one sponsor at a time and the period is already taken.

    The message names the sponsors in that period.
    """

    def __init__(self, position: str, sponsors: Sequence[str]) -> None:
        super().__init__(f"The {position} is taken in that period by {', '.join(sponsors)}")


class PlacementsOverlap(Conflict):
    """Raised when a staff member switches on the rule "one sponsor at a time", but placements overlap.

    The message names the sponsors.
    """

    def __init__(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        named = "; ".join(f"{first} and {second} in the {position}" for position, first, second in pairs)
        super().__init__(f"Placements overlap: {named}")


class NotAnAddress(BillingError):
    """Raised when a reader is to be exported or erased, but the text sent is not an e-mail address."""

    sentence = "This is not an e-mail address"


class TooLate(Conflict):
    """Raised when a change is no longer possible."""


class RefundTooLarge(BillingError):
    """Raised when a refund would be larger than what is left of a tip."""


class ChangedMeanwhile(Conflict):
    """Raised when the row has changed since the user opened the page that sends the request."""

    sentence = "This was changed meanwhile; look at it again"
