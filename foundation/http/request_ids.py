"""Give every request an id. The answer and each log line of the request contain this id."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from foundation import identifiers

Handler = Callable[[HttpRequest], HttpResponseBase]

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# If a proxy or a caller sends an id that is harmless in a log line, the request gets this id.
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def identify(get_response: Handler) -> Handler:
    """Return the outermost middleware. It adds `X-Request-ID` to every answer."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request.request_id = sent if ACCEPTABLE.fullmatch(sent) else identifiers.new("req")  # type: ignore[attr-defined]
        token = request_id.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""  # A HEAD answer has no body. Content-Length is already set.
        return response

    return middleware


class RequestFilter(logging.Filter):
    """Adds the id of the request to a log record, even to a record that is written after the answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = getattr(request, "request_id", None) or request_id.get()
        return True


class UnexpectedFilter(logging.Filter):
    """Drops log records about a 503: the code that found the cause has already logged the cause."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503
