"""What a session stores about its sign-in. The middleware reads this on every request with a session.

A session expires SESSION_HOURS after the sign-in; requests do not extend it. A staff member's session must
have passed the second factor that the staff member has now. If the factor is reset or replaced, existing
sessions have not passed the new factor.
"""

import time

from allauth.account.signals import user_logged_in as allauth_user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_used
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User

SIGNED_IN_AT = "signed_in_at"
PASSED = "second_factor"
# The pages to which finished sign-ins led, by the `state` of the sign-in.
FINISHED = "finished_sign_ins"
FINISHED_MAX = 10


def age_seconds(session: SessionBase) -> float:
    """Return the seconds since the user signed in; infinity if the session does not contain the time."""
    signed_in_at = session.get(SIGNED_IN_AT)
    return time.time() - signed_in_at if isinstance(signed_in_at, float) else float("inf")


def is_over(session: SessionBase) -> bool:
    """Return whether the session has expired."""
    return age_seconds(session) > settings.SESSION_COOKIE_AGE


def has_passed(session: SessionBase, user: User) -> bool:
    """Return whether this session has passed the second factor that the user has now."""
    passed = session.get(PASSED)
    return passed is not None and passed == _factor_of(user)


def note_passed(session: SessionBase, user: User) -> None:
    """Record in the session that it has passed the user's second factor."""
    session[PASSED] = _factor_of(user)


def _factor_of(user: User) -> int | None:
    """Return the id of the user's TOTP factor, or None. A recovery code is accepted for this factor too."""
    factors = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP)
    return factors.values_list("pk", flat=True).first()


def finished_with(request: HttpRequest, login: SocialLogin) -> dict[str, str]:
    """Return the pages of the session's last sign-ins, with this one; those of another user are left out."""
    earlier = request.session.get(FINISHED, {}) if request.user == login.user else {}
    pages = earlier | {request.GET["state"]: login.state.get("next", "")}
    return dict(list(pages.items())[-FINISHED_MAX:])


def page_after(session: SessionBase, state_id: str) -> str:
    """Return the page to which the sign-in with this `state` led; "" if this session has no such sign-in."""
    return session.get(FINISHED, {}).get(state_id) or ""


@receiver(user_logged_in)
def _note_sign_in(sender: object, request: HttpRequest, **signal: object) -> None:
    request.session[SIGNED_IN_AT] = time.time()


@receiver(allauth_user_logged_in)
def _note_page(
    sender: object, request: HttpRequest, sociallogin: SocialLogin | None = None, **signal: object
) -> None:
    # A sign-in that waited for its code while this release was deployed has no FINISHED.
    if sociallogin and FINISHED in sociallogin.state:
        request.session[FINISHED] = sociallogin.state[FINISHED]


@receiver(authenticator_used)
def _note_factor(sender: object, request: HttpRequest, user: User, **signal: object) -> None:
    note_passed(request.session, user)
