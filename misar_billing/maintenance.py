"""The middleware for maintenance: it refuses changes, and lets pages show why."""

from http import HTTPStatus

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts import maintenance
from foundation.errors import TryAgainLater
from foundation.http import last_resort
from foundation.http.envelope import BEYOND_REACH, error_response, is_api_path
from foundation.http.request_ids import Handler

READS = frozenset({"GET", "HEAD", "OPTIONS"})
RETRY_AFTER_SECONDS = 10
PAUSED = "Changes are paused for maintenance; please try again."
# Staff sign in to look at the service, and users to look at their credits. Staff also search by POST.
STILL_SENT = (
    *("sign-in-misar", "account_login", "mfa_authenticate", "sign-out", "admin:logout"),
    *("mfa_activate_totp", "account_reauthenticate", "mfa_reauthenticate", "admin:find"),
)
DASHBOARD = {"url": "/dashboard", "words": "To your dashboard"}


def refuse_changes(get_response: Handler) -> Handler:
    """Middleware: during maintenance, answer 503 to every method but GET, HEAD and OPTIONS.

    Signing in and out, and the search of staff, go on. `request.maintenance` of a page is the reason or None.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method in READS:
            if not is_api_path(request.path):
                # Read only by a page that shows it, after this page has read its session.
                request.maintenance = SimpleLazyObject(maintenance.last_known)  # type: ignore[attr-defined]
            return get_response(request)
        try:
            reason = maintenance.reason()
        except Error:
            # Without the database nothing can be changed. It could be back in a moment, so do not go on.
            return _answer(
                request, BEYOND_REACH, "Nothing was changed.", int(TryAgainLater.headers["Retry-After"])
            )
        if reason is None or _is_still_sent(request.path):
            return get_response(request)
        return _answer(request, PAUSED, f"{reason} Nothing was changed.", RETRY_AFTER_SECONDS)

    return middleware


def _is_still_sent(path: str) -> bool:
    return path in {reverse(name) for name in STILL_SENT}


def _answer(request: HttpRequest, sentence: str, next_step: str, retry_after_seconds: int) -> HttpResponse:
    """Return a 503 in the envelope of the path, or as a page with what to do next."""
    if is_api_path(request.path):
        headers = {"Retry-After": str(retry_after_seconds)}
        return error_response(request, HTTPStatus.SERVICE_UNAVAILABLE, sentence, headers=headers)
    return last_resort.answer(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        sentence.partition(";")[0].rstrip(".") + ".",
        f"{next_step} Please try again later.",
        retry_after_seconds=retry_after_seconds,
        way_on=DASHBOARD if request.path.startswith("/dashboard") else None,
    )
