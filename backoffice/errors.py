"""The errors that refuse a staff action."""

from foundation.errors import BillingError


class ChangedSince(BillingError):
    """Raised when another staff member changed the values after the form was shown."""

    status = 409
    sentence = "A colleague changed this after you opened the form; open it again to see the current values"


class ColleagueActed(BillingError):
    """Raised when another staff member acted on the user after the form showed what would change."""

    status = 409
    sentence = "A colleague acted on this user after you saw what would change; preview it again"


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
