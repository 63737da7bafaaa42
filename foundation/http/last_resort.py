"""Answers for requests that no view answered: a wrong host, an unknown path, a crash.

Under an API path they are JSON in that path's envelope, elsewhere a short page with a way on.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from foundation.http.envelope import NOTHING_HERE, error_response, is_api_path

# Where such a page leads: whoever works in the back-office has no wallet to look for.
BACK_OFFICE = {"url": "/admin/", "words": "To the back-office"}
WALLET = {"url": "/wallet", "words": "To your wallet"}

WRITE_TO_US = "Please try again. If it stays like this, tell us the time and what you were doing."


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400, for example a host that is not ours."""
    return answer(request, 400, "The request cannot be read.", WRITE_TO_US)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return answer(request, 403, "You may not see this page.", "Ask whoever gave you access, if you need it.")


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token does not fit: mostly one from before its user signed in or out."""
    return answer(
        request,
        403,
        "This form is too old to be sent.",
        "It was opened before you signed in or out, or cookies are switched off. Nothing was changed. "
        "Open the page again and send it once more.",
    )


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return answer(request, 404, NOTHING_HERE, "The link may be old, or mistyped.")


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """429."""
    answered = answer(request, 429, "Too many tries.", "Please wait a minute, then try again.")
    answered["Retry-After"] = "60"
    return answered


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    return answer(request, 500, "Something went wrong on our side.", WRITE_TO_US)


def answer(request: HttpRequest, status: int, sentence: str, next_step: str) -> HttpResponse:
    """An error: the API's envelope under an API path, elsewhere a page that says what to do next."""
    if is_api_path(request.path):
        return error_response(request, status, sentence)
    page = {
        "status": status,
        "sentence": sentence,
        "next_step": next_step,
        "way_on": BACK_OFFICE if request.path.startswith("/admin/") else WALLET,
        "request_id": getattr(request, "request_id", ""),
    }
    response = render(request, "error.html", page, status=status)
    response["Cache-Control"] = "no-store"
    return response
