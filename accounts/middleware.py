"""What is asked of every request that comes with a session."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts import second_factor
from misar_billing.api import error_response, is_api_path

# What somebody of the back-office reaches without a second factor.
OPEN_WITHOUT_IT = ("mfa_activate_totp", "account_reauthenticate", "sign-out", "signed-out")


def require_second_factor(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Middleware: staff without a second factor reach nothing but its set-up and the way out."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # Without a cookie there is no session: a product's request never asks who is signed in.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and _is_kept_out(request):
            if is_api_path(request.path):
                return error_response(request, 403, "Set up a second factor first")
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return get_response(request)

    return middleware


def _is_kept_out(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or not second_factor.is_missing(user):
        return False
    return request.path not in {reverse(name) for name in OPEN_WITHOUT_IT}
