"""What can stop a verb of monetization."""

from collections.abc import Sequence

from foundation.errors import BillingError, Conflict


class NotFound(BillingError):
    """Raised when a row does not exist or belongs to another creator. The answer does not say which."""

    status = 404
    sentence = "Not found"


class AlreadyRecorded(Conflict):
    """Raised when a Stripe id was recorded with other facts."""


class EndsBeforeItBegins(BillingError):
    """Raised when a placement would not end after it begins."""

    sentence = "A placement must end after it begins"


class PositionTaken(Conflict):
    """Raised when a creator allows one sponsor at a time and the period is not free. Names the sponsors."""

    def __init__(self, position: str, sponsors: Sequence[str]) -> None:
        super().__init__(f"The {position} is taken in that period by {', '.join(sponsors)}")


class PlacementsOverlap(Conflict):
    """Raised when one sponsor at a time is switched on while placements overlap. Names the sponsors."""

    def __init__(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        named = "; ".join(f"{first} and {second} in the {position}" for position, first, second in pairs)
        super().__init__(f"Placements overlap: {named}")


class NotAnAddress(BillingError):
    """Raised when a reader is to be exported or erased and the text given is no e-mail address."""

    sentence = "This is not an e-mail address"


class TooLate(Conflict):
    """Raised when a change is no longer possible."""


class RefundTooLarge(BillingError):
    """Raised when a refund would be larger than what is left of a tip."""


class ChangedMeanwhile(Conflict):
    """Raised when the row has changed since the page was opened on which the decision was made."""

    sentence = "This was changed meanwhile; look at it again"
