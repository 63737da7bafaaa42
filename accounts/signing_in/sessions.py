"""What a browser's session has proven, and when; the middleware reads it on every request with a session.

A session expires SESSION_HOURS after the sign-in, whatever is done in it. For staff it must have passed the
second factor that the user has now. A session from before the factor was set up, or reset, has not passed.
"""

import time

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_used
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User

SIGNED_IN_AT = "signed_in_at"
PASSED = "second_factor"


def age_seconds(session: SessionBase) -> float:
    """How long ago the user signed in; infinite if the session does not say."""
    signed_in_at = session.get(SIGNED_IN_AT)
    return time.time() - signed_in_at if isinstance(signed_in_at, float) else float("inf")


def is_over(session: SessionBase) -> bool:
    """Whether the session has expired."""
    return age_seconds(session) > settings.SESSION_COOKIE_AGE


def has_passed(session: SessionBase, user: User) -> bool:
    """Whether this session proved the second factor that the user has now."""
    passed = session.get(PASSED)
    return passed is not None and passed == _factor_of(user)


def note_passed(session: SessionBase, user: User) -> None:
    """Remember that the user's second factor was proven in this session."""
    session[PASSED] = _factor_of(user)


def _factor_of(user: User) -> int | None:
    """The second factor that the user has now; a recovery code proves the same one."""
    factors = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP)
    return factors.values_list("pk", flat=True).first()


@receiver(user_logged_in)
def _note_sign_in(sender: object, request: HttpRequest, **signal: object) -> None:
    request.session[SIGNED_IN_AT] = time.time()


@receiver(authenticator_used)
def _note_factor(sender: object, request: HttpRequest, user: User, **signal: object) -> None:
    note_passed(request.session, user)
