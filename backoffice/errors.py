"""Why a staff action can be refused."""

from foundation.errors import BillingError


class ChangedSince(BillingError):
    """Raised when another staff member changed the values after the form showed them."""

    status = 409
    sentence = "A colleague changed this after you opened the form; open it again to see the current values"


class NothingToChange(BillingError):
    """Raised when a form asks for what is already so."""

    sentence = "These are already the current values; nothing would change"


class BeyondAllowance(BillingError):
    """Raised when a staff member asks for more than their role may move. The sentence says what is left."""

    status = 403


class AccessRefused(BillingError):
    """Raised when a staff member may not change this access, or lost their own."""

    status = 403


class OwnAffairs(BillingError):
    """Raised when an action concerns the staff member who runs it."""

    status = 403
    sentence = "You can't do this for your own account; ask a colleague"
