"""The codes of a second factor, as a telephone shows them."""

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.factories import SECOND_FACTOR_SECRET

STEP_SECONDS = 30


def code_at(moment: float, secret: str = SECOND_FACTOR_SECRET) -> str:
    return format_hotp_value(hotp_value(secret, int(moment) // STEP_SECONDS))


def code_of(secret: str = SECOND_FACTOR_SECRET, *, good_for: float = 3) -> str:
    """The code of now, once it is good for so many seconds more: it has to arrive within its half minute."""
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < good_for:
        time.sleep(left + 0.05)
    return code_at(time.time(), secret)
