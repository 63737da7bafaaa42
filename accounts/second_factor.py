"""The second factor of staff: without one, nothing but its set-up is reachable (middleware.py)."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator

from accounts.models import User


def is_missing(user: User) -> bool:
    """Whether this is somebody of the back-office who has not set up a second factor yet."""
    has_one = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP)
    return user.is_staff and not has_one.exists()


def set_up(user: User, secret: str) -> None:
    """Take this secret (base32) as the one behind the user's codes, as a demonstration does beforehand."""
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": get_adapter().encrypt(secret)}
    )


def reset(user: User) -> bool:
    """Forget a lost second factor, recovery codes included; the next sign-in asks for a new one.

    False where there was none.
    """
    forgotten, _ = Authenticator.objects.filter(user=user).delete()
    return forgotten > 0
