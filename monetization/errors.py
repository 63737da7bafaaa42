"""What can stop a verb of monetization."""

from collections.abc import Sequence

from foundation.errors import BillingError


class NotFound(BillingError):
    """Raised when a row is not there, or is somebody else's: the two cannot be told apart."""

    status = 404
    sentence = "Not found"


class AlreadyRecorded(BillingError):
    """Raised when a Stripe id was recorded with other facts."""

    status = 409


class KeyReused(BillingError):
    """Raised when an Idempotency-Key comes again with another body."""

    status = 409
    sentence = "This Idempotency-Key was used for another request"


class FormSent(BillingError):
    """Raised when a browser's form comes again, and no longer says what it placed."""

    status = 409
    sentence = "This form was sent before; open it again to place another sponsor"


class EndsBeforeItBegins(BillingError):
    """Raised when a placement would not end after it begins."""

    sentence = "A placement must end after it begins"


class InvalidCursor(BillingError):
    """Raised when a cursor is none of a creator's lists."""

    sentence = "Invalid cursor"


class PositionTaken(BillingError):
    """Raised when a creator allows one sponsor at a time and the period is not free. Names the sponsors."""

    status = 409

    def __init__(self, position: str, sponsors: Sequence[str]) -> None:
        super().__init__(f"The {position} is taken in that period by {', '.join(sponsors)}")


class PlacementsOverlap(BillingError):
    """Raised when one sponsor at a time is asked for while placements overlap. Names the sponsors."""

    status = 409

    def __init__(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        named = "; ".join(f"{first} and {second} in the {position}" for position, first, second in pairs)
        super().__init__(f"Placements overlap: {named}")


class NotAnAddress(BillingError):
    """Raised when a reader is asked for by something that is no e-mail address."""

    sentence = "This is not an e-mail address"


class TooLate(BillingError):
    """Raised when a change comes after the moment it was possible."""

    status = 409


class RefundTooLarge(BillingError):
    """Raised when more would be refunded than a tip still holds."""


class ChangedMeanwhile(BillingError):
    """Raised when a decision was made on a page that is no longer true."""

    status = 409
    sentence = "This was changed meanwhile; look at it again"
