"""Every request has an id: in the answer's `X-Request-ID`, and in each line it logs."""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from misar_billing import identifiers

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# What a proxy or a caller sends is kept if it is harmless in a log line.
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def identify(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, the outermost, so that no answer leaves without an id."""

    def middleware(request: HttpRequest) -> HttpResponse:
        sent = request.headers.get("X-Request-ID", "")
        token = request_id.set(sent if ACCEPTABLE.fullmatch(sent) else identifiers.new("req"))
        try:
            response = get_response(request)
            response["X-Request-ID"] = request_id.get()
            return response
        finally:
            request_id.reset(token)

    return middleware


class RequestFilter(logging.Filter):
    """Puts the id of the current request on a log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True
