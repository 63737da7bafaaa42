"""Every request has an id, in its answer and in each line of its log."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from foundation import identifiers

Handler = Callable[[HttpRequest], HttpResponseBase]

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# An id from a proxy or a caller is kept if it is harmless in a log line.
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def identify(get_response: Handler) -> Handler:
    """Middleware, the outermost, so that no answer leaves without `X-Request-ID`."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        sent = request.headers.get("X-Request-ID", "")
        request.request_id = sent if ACCEPTABLE.fullmatch(sent) else identifiers.new("req")  # type: ignore[attr-defined]
        token = request_id.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""  # Its length is sent already.
        return response

    return middleware


class RequestFilter(logging.Filter):
    """Adds the id of the request to a log record, also to one written after the answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = getattr(request, "request_id", None) or request_id.get()
        return True


class UnexpectedFilter(logging.Filter):
    """Drops records of a 503: its cause was logged where it was noticed."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503
