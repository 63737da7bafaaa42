"""Middleware that an API request without a cookie passes by: it has no session, no form and no page.

On the way of a charge each of them costs a few microseconds, together more than reading the body.
"""

from typing import Any, cast

from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]

from foundation.http.envelope import is_api_path


class PagesOnly:
    """The base of these middlewares. A subclass names the middleware that it skips as its next base."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_without_page(request):
            return cast(HttpResponseBase, self.get_response(request))
        return cast(HttpResponseBase, super().__call__(request))  # type: ignore[misc]


def is_without_page(request: HttpRequest) -> bool:
    """Return whether this is an API request without a cookie."""
    return "HTTP_COOKIE" not in request.META and is_api_path(request.path)


class StaticFiles(PagesOnly, WhiteNoiseMiddleware):
    """Sheets and scripts have a short policy of their own: they load nothing, and a page waits for them."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        response = cast(HttpResponseBase, WhiteNoiseMiddleware.serve(static_file, request))
        if response.get("Content-Type", "").startswith(("text/css", "text/javascript")):
            response["Content-Security-Policy"] = "default-src 'none'"
        return response


class Sessions(PagesOnly, SessionMiddleware):
    pass


class SignedIn(PagesOnly, AuthenticationMiddleware):
    pass


class Messages(PagesOnly, MessageMiddleware):
    pass


class ContentSecurityPolicy(CSPMiddleware):
    """The policy of settings.py. API answers always have the same one, so it is built once for them."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.policy_of_api = build_policy()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_without_page(request):
            return cast(HttpResponseBase, super().__call__(request))
        response = cast(HttpResponseBase, self.get_response(request))
        response["Content-Security-Policy"] = self.policy_of_api
        return response
