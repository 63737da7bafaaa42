"""The middleware that records requests with API keys, for their owners, after the answer was sent."""

import logging
from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.encoding import escape_uri_path

from accounts import key_requests
from accounts.api_keys import API_KEY_PREFIX
from accounts.authentication import bearer_of
from accounts.errors import InvalidToken
from accounts.models import METHOD_LENGTH, PATH_LENGTH, ApiKey, KeyRequest
from foundation.http.request_ids import Handler
from misar_billing.scrubbing import scrubbed

logger = logging.getLogger(__name__)


def record(get_response: Handler) -> Handler:
    """Return the middleware. It comes after the one that gives the request its id."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if (secret := _api_key_of(request)) is None:
            return get_response(request)
        arrived_at = timezone.now()
        response = get_response(request)
        close = response.close

        def record_and_close() -> None:
            _record(request, secret, arrived_at, response.status_code)
            close()  # Afterwards, because Django then gives back the connection to the database.

        # The server closes an answer when all of it was sent.
        response.close = record_and_close  # type: ignore[method-assign]
        return response

    return middleware


def _api_key_of(request: HttpRequest) -> str | None:
    try:
        token = bearer_of(request)
    except InvalidToken:
        return None
    return token if token and token.startswith(API_KEY_PREFIX) else None


def _record(request: HttpRequest, secret: str, arrived_at: datetime, status: int) -> None:
    try:
        seen = KeyRequest(
            arrived_at=arrived_at,
            method=str(request.method)[:METHOD_LENGTH],
            path=_path_of(request),
            status=status,
            request_id=request.request_id,  # type: ignore[attr-defined]
        )
        if isinstance(key := getattr(request, "auth", None), ApiKey):
            seen.key = key
        key_requests.note(seen, secret=secret)
    except Exception:  # The answer was sent. Nothing may keep it from being closed.
        logger.exception("A request of an API key was not recorded", extra={"request": request})


def _path_of(request: HttpRequest) -> str:
    """Return the path without its query, in which an address may be. A mistyped path may have one, too."""
    return scrubbed(escape_uri_path(request.path))[:PATH_LENGTH]
