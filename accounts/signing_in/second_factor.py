"""The second factor of staff. Staff without one must set it up first (middleware.py).

Checking a code needs the secret, so the secret is stored encrypted with a key made from SECRET_KEY. Keys made
from SECRET_KEY_FALLBACKS still decrypt it. Recovery codes come from a seed that is stored the same way.
"""

import base64

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts.models import User

Kind = Authenticator.Type
# The field that is encrypted, for each type of authenticator.
SECRETS = {Kind.TOTP: "secret", Kind.RECOVERY_CODES: "seed"}


def is_missing(user: User) -> bool:
    """Return whether this user is staff and has not set up a second factor yet."""
    return user.is_staff and not Authenticator.objects.filter(user=user, type=Kind.TOTP).exists()


def set_up(user: User, secret: str) -> None:
    """Give the user a second factor with this secret (base32). The demonstration and the bench use this."""
    Authenticator.objects.create(user=user, type=Kind.TOTP, data={"secret": encrypted(secret)})


def reset(user: User) -> bool:
    """Delete a user's second factor and recovery codes.

    Staff must then set up a new second factor before they can open other pages. Return
    False if the user had none.
    """
    deleted, _ = Authenticator.objects.filter(user=user).delete()
    return deleted > 0


@transaction.atomic
def encrypt_anew() -> tuple[int, list[str]]:
    """Decrypt every stored secret, and encrypt it with the current key.

    Return how many secrets were encrypted, and the ids of the users whose secret no key can decrypt.
    """
    done, lost = 0, []
    for each in Authenticator.objects.select_for_update().filter(type__in=SECRETS).order_by("pk"):
        name = SECRETS[Kind(each.type)]
        try:
            each.data[name] = encrypted(decrypted(each.data[name]))
        except InvalidToken:
            lost.append(str(each.user_id))
            continue
        each.save(update_fields=["data"])
        done += 1
    return done, lost


def encrypted(text: str) -> str:
    """Encrypt a secret. The result is what is stored."""
    return _box().encrypt(text.encode()).decode()


def decrypted(text: str) -> str:
    """Decrypt a stored secret. Raise InvalidToken if neither SECRET_KEY nor a fallback can decrypt it."""
    return _box().decrypt(text.encode()).decode()


# Every stored secret was encrypted with this salt. A new salt would lock out all staff.
SALT = "accounts.second_factor"


def _box() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [salted_hmac(SALT, "", secret=secret, algorithm="sha256").digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
