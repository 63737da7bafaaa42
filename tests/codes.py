"""The codes of a second factor, as a phone shows them."""

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.factories import SECOND_FACTOR_SECRET

STEP_SECONDS = 30


def code_at(moment: float, secret: str = SECOND_FACTOR_SECRET) -> str:
    return format_hotp_value(hotp_value(secret, int(moment) // STEP_SECONDS))


def code_of(secret: str = SECOND_FACTOR_SECRET, *, good_for: float = 3) -> str:
    """The present code. Waits for the next one if it is valid for less than `good_for` seconds."""
    left = STEP_SECONDS - time.time() % STEP_SECONDS
    if left < good_for:
        time.sleep(left + 0.05)
    return code_at(time.time(), secret)
