"""What can stop an action of staff."""

from foundation.errors import BillingError


class ChangedSince(BillingError):
    """Raised when what a form of the back-office showed has been changed by somebody since."""

    status = 409
    sentence = "Somebody changed this since the form was opened; open it again to see how it is now"


class NothingToChange(BillingError):
    """Raised when a form of the back-office asks for what is so already."""

    sentence = "That is how it is already: nothing would change"


class BeyondAllowance(BillingError):
    """Raised when a member of staff asks for more than their role may move. It says what is left."""

    status = 403


class AccessRefused(BillingError):
    """Raised when somebody's access to the back-office may not be changed by whoever asks, or at all."""

    status = 403


class OwnAffairs(BillingError):
    """Raised when a member of staff would act in their own affairs."""

    status = 403
    sentence = "Nobody acts in their own affairs here: ask a colleague"
