"""The errors that refuse a staff action."""

from foundation.errors import BillingError


class ChangedSince(BillingError):
    """Raised when the values changed after the form was shown."""

    status = 409
    sentence = "This was changed after you opened the form; open it again to see the current values"


class OutdatedPreview(BillingError):
    """Raised when an action would do other than its preview showed. The sentence says why.

    The form then shows a new preview.
    """

    status = 409


class NothingToChange(BillingError):
    """Raised when an action would change nothing, because the row already has these values."""

    sentence = "These are already the current values; nothing would change"


class BeyondAllowance(BillingError):
    """Raised when an adjustment or a refund by staff is above a limit. The sentence states the limit."""

    status = 403


class AccessRefused(BillingError):
    """Raised when a staff member has no permission for the action, or may not change this user's access."""

    status = 403


class OwnAffairs(BillingError):
    """Raised when an action is about the staff member who runs it."""

    status = 403
    sentence = "You can't do this for your own account; ask a colleague"
