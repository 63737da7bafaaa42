"""Refuse two kinds of requests before any view runs: API calls over plain http, and URLs with a NUL."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from foundation.http.envelope import error_response, is_api_path
from foundation.http.last_resort import bad_request
from foundation.http.request_ids import Handler


def require_https(get_response: Handler) -> Handler:
    """Return a middleware that refuses API calls over plain http in production, and page URLs with a NUL."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if settings.PRODUCTION and is_api_path(request.path) and not request.is_secure():
            return error_response(request, 403, "Use https")
        # PostgreSQL accepts no NUL. The API refuses a NUL anyway, but the admin would send it to PostgreSQL.
        nul = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
        if nul and not is_api_path(request.path):
            return bad_request(request)
        return get_response(request)

    return middleware
