"""Every request has an id, is read over https, and holds no NUL: what is asked of all of them alike."""

import ipaddress
import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from misar_billing import identifiers
from misar_billing.api import error_response, is_api_path
from misar_billing.last_resort import bad_request

Handler = Callable[[HttpRequest], HttpResponseBase]

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# What a proxy or a caller sends is kept if it is harmless in a log line.
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
            response.content = b""  # Its length has been told; the server would complain of the rest.
        return response

    return middleware


def require_https(get_response: Handler) -> Handler:
    """Middleware: refuse an API call over plain http in production, and a page whose address holds a NUL."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if settings.PRODUCTION and is_api_path(request.path) and not request.is_secure():
            return error_response(request, 403, "Use https")
        # PostgreSQL takes no NUL. The API reads strictly anyway; the admin would look it up.
        nul = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
        if nul and not is_api_path(request.path):
            return bad_request(request)
        return get_response(request)

    return middleware


def client_address(request: HttpRequest) -> str:
    """The address of whoever asks: behind trusted proxies, the last one that they did not add themselves."""
    address = request.META.get("REMOTE_ADDR") or "127.0.0.1"
    forwarded = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while forwarded and _is_proxy(address) and _is_address(forwarded[-1]):
        address = forwarded.pop()
    return address


def client_network(request: HttpRequest) -> str:
    """The same for counting: of an IPv6 address the /64, which is what one subscriber has."""
    address = client_address(request)
    if not _is_address(address) or ipaddress.ip_address(address).version == 4:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def _is_proxy(address: str) -> bool:
    """Whether TRUSTED_PROXIES names it: an address or a network. (`*` trusts whoever connects, for the scheme
    alone: nobody could be told from anybody by what everybody may send.)"""
    networks = [each for each in settings.TRUSTED_PROXIES if each != "*"]
    return _is_address(address) and any(
        ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False) for network in networks
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class RequestFilter(logging.Filter):
    """Puts the id of its request on a log record, also where the record is made after the answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        record.request_id = getattr(request, "request_id", None) or request_id.get()
        return True


class UnexpectedFilter(logging.Filter):
    """Lets no 503 pass: something out of reach was logged where it was noticed, once."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503
