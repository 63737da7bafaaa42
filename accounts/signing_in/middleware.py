"""The middleware that checks the session of a request."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts.signing_in import second_factor, sessions
from foundation.http.envelope import is_api_path

# The pages that staff may open without a second factor.
OPEN_WITHOUT_IT = ("mfa_activate_totp", "account_reauthenticate", "sign-out", "signed-out")


def require_good_session(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: end expired sessions, and sessions of staff that have not passed the second factor.

    Staff who have no second factor yet may open only the pages in OPEN_WITHOUT_IT. An API request is not
    signed out, but its session is ignored.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # A request without the cookie has no session, so a product's request never queries sessions.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return get_response(request)
        user, is_over = request.user, sessions.is_over(request.session)
        if not is_over and (not user.is_staff or sessions.has_passed(request.session, user)):
            return get_response(request)
        if is_api_path(request.path):
            request.user = AnonymousUser()  # Ignore the session; other credentials still count.
        elif is_over or not second_factor.is_missing(user):
            logout(request)  # The view decides whether an anonymous user may go on.
        elif request.path not in {reverse(name) for name in OPEN_WITHOUT_IT}:
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return get_response(request)

    return middleware
