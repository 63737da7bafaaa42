"""What is asked of every request that comes with a session."""

from collections.abc import Callable
from enum import Enum

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts.signing_in import second_factor, sessions
from foundation.http.envelope import is_api_path

# What somebody of the back-office reaches without a second factor.
OPEN_WITHOUT_IT = ("mfa_activate_totp", "account_reauthenticate", "sign-out", "signed-out")


class Standing(Enum):
    """What a session is good for."""

    GOOD = "good"
    OVER = "over"
    # Of staff: the user has no second factor yet, or this session did not pass the one of now.
    NO_FACTOR = "no factor"
    NOT_PASSED = "not passed"


def require_good_session(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: a session that is over ends; staff without a second factor reach nothing but its set-up."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # Without a cookie there is no session: a product's request never asks who is signed in.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return get_response(request)
        standing = _standing_of(request)
        if standing is Standing.GOOD:
            return get_response(request)
        if is_api_path(request.path):
            request.user = AnonymousUser()  # No session, and no obstacle to another credential.
        elif standing is not Standing.NO_FACTOR:
            logout(request)  # The page then says for itself whether it wants somebody signed in.
        elif request.path not in {reverse(name) for name in OPEN_WITHOUT_IT}:
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return get_response(request)

    return middleware


def _standing_of(request: HttpRequest) -> Standing:
    user = request.user
    assert user.is_authenticated
    if sessions.is_over(request.session):
        return Standing.OVER
    if not user.is_staff or sessions.has_passed(request.session, user):
        return Standing.GOOD
    return Standing.NO_FACTOR if second_factor.is_missing(user) else Standing.NOT_PASSED
