"""The middleware that counts each request and, with LOG_REQUESTS, writes one line about it to the log."""

import logging
from collections import Counter
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.authentication import Bearer
from accounts.models import ApiKey, ServiceKey
from foundation.http.request_ids import Handler
from misar_billing.metrics import counts
from misar_billing.routes import route_of
from wallet.api import outcomes
from wallet.api.envelope import ROOT

logger = logging.getLogger(__name__)

# The endpoints that decide charges, by their routes.
DECIDING = {f"{ROOT}deduct": "deduct", f"{ROOT}deduct/batch": "batch", f"{ROOT}holds": "hold"}


def watch(get_response: Handler) -> Handler:
    """Return the middleware. It comes after the one that gives the request its id."""
    counts.THREADS.set(settings.WEB_THREADS)
    counts.connect()

    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        counts.IN_PROGRESS.inc()
        try:
            response = get_response(request)
        finally:
            counts.IN_PROGRESS.dec()
        seconds = perf_counter() - began
        route, method, status = route_of(request), str(request.method), response.status_code
        counter, histogram = counts.requests_of(method, route, status)
        counter.inc()
        histogram.observe(seconds)
        if method == "POST" and (endpoint := DECIDING.get(route)):
            _count_charges(request, endpoint, status, seconds)
        if settings.LOG_REQUESTS:
            _log(request, route, status, seconds)
        return response

    return middleware


def _count_charges(request: HttpRequest, endpoint: str, status: int, seconds: float) -> None:
    outcome = "answered" if status < 400 else "refused" if status < 500 else "failed"
    counts.charge_seconds_of(endpoint, outcome).observe(seconds)
    key = getattr(request, "auth", None)
    product = key.product if isinstance(key, ServiceKey) else "unknown"
    for (word, reason), number in Counter(outcomes.noted(request, status)).items():
        counts.charges_of(endpoint, product, word, reason).inc(number)


def _log(request: HttpRequest, route: str, status: int, seconds: float) -> None:
    facts = {
        "method": request.method,
        "path": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        **_caller(request),
    }
    logger.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra=facts)


def _caller(request: HttpRequest) -> dict[str, Any]:
    """Return which product, or which kind of caller, sent the request, if that is known by now.

    It queries nothing: a session that no view looked at stays unread.
    """
    match getattr(request, "auth", None):
        case ServiceKey(product=product):
            return {"product": product}
        case Bearer():
            return {"caller": "user"}
        case ApiKey():
            return {"caller": "creator"}
    user = getattr(request, "_cached_user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"caller": "staff" if user.is_staff else "user"}
