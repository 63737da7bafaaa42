"""Answers for requests that no view answered: a wrong host, an unknown path, a crash.

Under an API path they are JSON in that path's envelope, elsewhere a short page.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from misar_billing.api import error_response, is_api_path


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400, for example a host that is not ours."""
    return _answer(request, 400, "The request cannot be read.")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return _answer(request, 403, "You may not see this page.")


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return _answer(request, 404, "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    return _answer(request, 500, "Something went wrong on our side.")


def _answer(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    if is_api_path(request.path):
        return error_response(request, status, sentence)
    return render(request, "error.html", {"status": status, "sentence": sentence}, status=status)
