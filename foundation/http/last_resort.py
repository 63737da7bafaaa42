"""Answers to requests that no view answered: a wrong host, an unknown path, a crash.

Under an API path, the answer is JSON in the envelope of the path. Elsewhere, it is a short page that says
what to do next.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.functional import LazyObject, empty
from django.utils.http import url_has_allowed_host_and_scheme

from foundation.database.transactions import is_out_of_reach
from foundation.errors import first_line
from foundation.http.envelope import BEYOND_REACH, FAILED, NOTHING_HERE, error_response, is_api_path

logger = logging.getLogger(__name__)

# The link on an error page. Staff get another link on pages of the back-office.
BACK_OFFICE = {"url": "/admin/", "words": "To the back-office"}
WALLET = {"url": "/wallet", "words": "To your wallet"}

OPEN_AGAIN = "It is the address of a form. Nothing was changed. Open the page with the form again."
SAFE = (
    "Your credits are safe. Please try again in a minute. "
    "Before you send a form again, see whether it went through."
)
CONTACT_US = "Please try again. If it keeps happening, contact support with the time and what you were doing."


def answer(
    request: HttpRequest,
    status: int,
    sentence: str,
    next_step: str,
    *,
    retry_after_seconds: int = 0,
    way_on: Mapping[str, str] | None = None,
    others_may: bool = True,
) -> HttpResponse:
    """Return an error: JSON in the envelope of an API path, or else a page that says what to do next.

    The page has a link that this visitor may open: `way_on`, or else the wallet or the back-office. If a
    signed-in user may not do something, the page says who is signed in and offers to sign in as another user,
    unless another user would be refused too (`others_may`).
    """
    headers = {"Cache-Control": "no-store"}
    if retry_after_seconds:
        headers["Retry-After"] = str(retry_after_seconds)
    if is_api_path(request.path):
        return error_response(request, status, sentence, headers=headers)
    visitor = _known_visitor(request)
    page = {
        "status": status,
        "sentence": sentence,
        "next_step": next_step,
        "way_on": way_on or _way_on(request, visitor),
        "user": visitor,
        "refused": visitor is not None and status == HTTPStatus.FORBIDDEN and others_may,
        "request_id": getattr(request, "request_id", ""),
    }
    response = render(request, "error.html", page, status=status)
    for name, value in headers.items():
        response[name] = value
    return response


def _known_visitor(request: HttpRequest) -> Any:
    """Return the signed-in user if this request has read them already, else None.

    The middleware reads the user of each request that has a session. An error page reads nothing, because
    after a crash or without the database, that would fail too.
    """
    user = getattr(request, "user", None)  # A request for a wrong host has none.
    is_unread = isinstance(user, LazyObject) and user._wrapped is empty
    return None if user is None or is_unread or not user.is_authenticated else user


def _way_on(request: HttpRequest, visitor: Any) -> Mapping[str, str]:
    is_for_staff = request.path.startswith("/admin/") and (visitor is None or visitor.is_staff)
    return BACK_OFFICE if is_for_staff else WALLET


def explain_wrong_methods(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: fill the empty page that Django answers to a wrong method.

    A browser gets there if its user opens the address of a form again, for example after a sign-in.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        is_empty = isinstance(response, HttpResponseNotAllowed) and not response.content
        if not is_empty or is_api_path(request.path):
            return response
        explained = answer(
            request, HTTPStatus.METHOD_NOT_ALLOWED, "This page cannot be opened like this.", OPEN_AGAIN
        )
        explained["Allow"] = response["Allow"]
        return explained

    return middleware


def _handler(status: int, sentence: str, next_step: str, **options: Any) -> Callable[..., HttpResponse]:
    """Return a view for Django's error hooks. Django may pass an exception, or a reason to refuse a form."""

    def handler(
        request: HttpRequest, exception: Exception | None = None, *, reason: str = ""
    ) -> HttpResponse:
        return answer(request, status, sentence, next_step, **options)

    return handler


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a request whose view raised an exception. Django calls this while it handles the exception."""
    error = sys.exception()
    if error is None or not is_out_of_reach(error):
        return crashed(request)
    logger.warning("Database out of reach: %s", first_line(error))
    sentence = BEYOND_REACH if is_api_path(request.path) else "We cannot reach our records right now."
    return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, sentence, SAFE, retry_after_seconds=1)


bad_request = _handler(400, "The request cannot be read.", CONTACT_US)  # For example, the host is wrong.
permission_denied = _handler(
    403, "You don't have access to this page.", "If you need it, ask the person who gave you access."
)
page_not_found = _handler(404, NOTHING_HERE, "The link may be old, or mistyped.")
crashed = _handler(500, FAILED, CONTACT_US)
too_many_requests = _handler(
    429, "Too many tries.", "Please wait a minute, then try again.", retry_after_seconds=60
)


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form with a wrong CSRF token. Most such forms were opened before the user signed in or out."""
    return answer(
        request,
        HTTPStatus.FORBIDDEN,
        "This form is too old to be sent.",
        "You opened it before you signed in or out, or cookies are switched off. Nothing was changed. "
        "Open the page again and send the form once more.",
        way_on=_page_of_form(request),
        others_may=False,
    )


def _page_of_form(request: HttpRequest) -> Mapping[str, str] | None:
    """Return a link to the page with the form, if the browser says that it is a page of this site."""
    came_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(came_from, {request.get_host()}, request.is_secure()):
        return None
    return {"url": came_from, "words": "Go back to the form"}
