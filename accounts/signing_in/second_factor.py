"""The second factor of staff: without one, nothing but its set-up is reachable (middleware.py).

The secret behind the codes must be readable to check one, so it is kept encrypted with a key from SECRET_KEY;
those of SECRET_KEY_FALLBACKS still open it. Recovery codes follow from a seed that is kept the same way.
"""

import base64

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts.models import User

Kind = Authenticator.Type
# What of an authenticator is encrypted.
SECRETS = {Kind.TOTP: "secret", Kind.RECOVERY_CODES: "seed"}


class Unreadable(Exception):
    """Raised when no key opens a secret: the SECRET_KEY of before is not among the fallbacks."""


def is_missing(user: User) -> bool:
    """Whether this is somebody of the back-office who has not set up a second factor yet."""
    return user.is_staff and not Authenticator.objects.filter(user=user, type=Kind.TOTP).exists()


def has_recovery_codes(user: User) -> bool:
    """Whether recovery codes were ever made for this user's second factor."""
    return Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).exists()


def set_up(user: User, secret: str) -> None:
    """Take this secret (base32) as the one behind the user's codes, as a demonstration does beforehand."""
    Authenticator.objects.create(user=user, type=Kind.TOTP, data={"secret": encrypted(secret)})


def reset(user: User) -> bool:
    """Forget a lost second factor, recovery codes included; the next sign-in asks for a new one.

    False where there was none.
    """
    forgotten, _ = Authenticator.objects.filter(user=user).delete()
    return forgotten > 0


@transaction.atomic
def encrypt_anew() -> tuple[int, list[str]]:
    """Encrypt every secret with the key of now: how many were, and the users whose no key opens."""
    done, lost = 0, []
    for each in Authenticator.objects.select_for_update().filter(type__in=SECRETS).order_by("pk"):
        name = SECRETS[Kind(each.type)]
        try:
            each.data[name] = encrypted(decrypted(each.data[name]))
        except Unreadable:
            lost.append(str(each.user_id))
            continue
        each.save(update_fields=["data"])
        done += 1
    return done, lost


def encrypted(text: str) -> str:
    """A secret as it is kept."""
    return _box().encrypt(text.encode()).decode()


def decrypted(text: str) -> str:
    """A secret that was kept. Raises Unreadable."""
    try:
        return _box().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise Unreadable from error


def _box() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [
        salted_hmac("accounts.signing_in.second_factor", "", secret=secret, algorithm="sha256").digest()
        for secret in secrets
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
