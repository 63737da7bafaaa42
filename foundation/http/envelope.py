"""Errors as JSON: the envelope of each path, and the exception handler of all API views."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.request import Request

from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError, TryAgainLater, first_line
from foundation.http.strict_json import BadJSON, TooLarge

logger = logging.getLogger(__name__)
NOTHING_HERE = "There is nothing at this address."
FAILED = "Something went wrong on our side."
# Where an error leaves its code in `META` of the request, for the metrics.
CODE = "misar.code"
BEYOND_REACH = "The ledger cannot be reached right now; please try again."


class Envelope:
    """The shape of errors under a path (contract 2). An app may register a subclass for its paths."""

    def body(
        self,
        path: str,
        sentence: str,
        *,
        method: str,
        status: int,
        code: str = "",
        facts: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> dict[str, Any]:
        """Return the body of an error. `code` and `facts` are those of the error (BillingError)."""
        body: dict[str, Any] = {"success": False, "error": sentence}
        if details:
            body["details"] = details
        if retry_after_seconds is not None:
            body["retryAfter"] = retry_after_seconds
        return body

    def of_validation(self, found: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return the sentence and the details for an invalid body. `found` comes from `flattened`."""
        return "Validation failed", spoken(found)


_envelopes: dict[str, Envelope] = {}


def register(prefix: str, envelope: Envelope) -> None:
    """Answer all requests under a prefix such as `/v1/` in JSON, and errors in this envelope.

    An envelope belongs to a path and not to a view, because no view makes the answer to a wrong host, an
    unknown path or a crash.
    """
    _envelopes[prefix] = envelope


def is_api_path(path: str) -> bool:
    """Return whether all answers under this path are JSON, including all errors."""
    return f"{path}/".startswith(tuple(_envelopes))


def envelope_of(path: str) -> Envelope:
    """Return the envelope for the errors of a path."""
    found = (envelope for prefix, envelope in _envelopes.items() if f"{path}/".startswith(prefix))
    return next(found, Envelope())


def error_response(
    request: HttpRequest,
    status: int,
    sentence: str,
    *,
    code: str = "",
    facts: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return an error in the envelope of the request's path."""
    headers = {"Cache-Control": "no-store"} | dict(headers or {})
    wait = int(headers["Retry-After"]) if status == HTTPStatus.TOO_MANY_REQUESTS else None
    body = envelope_of(request.path).body(
        request.path,
        sentence,
        method=str(request.method),
        status=status,
        code=code,
        facts=facts,
        details=details,
        retry_after_seconds=wait,
    )
    # Compact JSON, as in the other answers of the API.
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    return JsonResponse(body, status=status, headers=headers, json_dumps_params=compact)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> JsonResponse:
    """Return the answer to an exception that a view raised: JSON in the envelope of the path, never HTML."""
    request: Request = context["request"]
    http: HttpRequest = request._request
    known = _known(error)
    if known is None:
        logger.error("Unexpected failure on %s", http.path, exc_info=error, extra={"request": http})
        return error_response(http, 500, FAILED)
    status, sentence, headers = known
    details = None
    if isinstance(error, exceptions.ValidationError | BadJSON):
        found = flattened(error.detail if isinstance(error, exceptions.ValidationError) else [sentence])
        sentence, details = envelope_of(http.path).of_validation(found)
    code, facts = (error.code, error.facts) if isinstance(error, BillingError) else ("", None)
    http.META[CODE] = code
    return error_response(http, status, sentence, code=code, facts=facts, details=details, headers=headers)


def refusal_of(error: Exception) -> tuple[int, str]:
    """Return the status and the sentence of an error that is a part of an answer."""
    if (known := _known(error)) is None:
        logger.error("Unexpected failure in a part of a request", exc_info=error)
        return HTTPStatus.INTERNAL_SERVER_ERROR, FAILED
    status, sentence, _ = known
    return status, sentence


def _known(error: Exception) -> tuple[int, str, dict[str, str]] | None:
    """Return the status, sentence and headers of an expected error; None for a bug."""
    if is_out_of_reach(error):
        logger.warning("Database out of reach: %s", first_line(error))
        error = TryAgainLater(BEYOND_REACH)
    match error:
        case BillingError():
            return error.status, str(error), dict(error.headers)
        case Http404():
            return 404, NOTHING_HERE, {}
        case PermissionDenied():
            return 403, "You may not do this", {}
        case UnreadablePostError():  # The client disconnected or stopped sending.
            return 408, "The body did not arrive in time", {}
        case RequestDataTooBig():
            return 413, str(TooLarge()), {}
        case SuspiciousOperation():  # For example, too many query parameters.
            return 400, "The request cannot be read.", {}
        case exceptions.Throttled():
            wait = max(1, int(getattr(error, "wait", None) or 1))
            return 429, "Too many requests. Please slow down.", {"Retry-After": str(wait)}
        case exceptions.MethodNotAllowed():
            return 405, "Method not allowed", {}
        case exceptions.APIException():
            return error.status_code, str(error.detail), {}
    return None


def flattened(errors: Any) -> dict[str, Any]:
    """Return DRF's nested error lists as `fieldErrors` and `formErrors`. Both always exist (contract 2)."""
    if isinstance(errors, list):
        return {"fieldErrors": {}, "formErrors": [str(error) for error in errors]}
    fields = {str(name): [str(one) for one in found] for name, found in errors.items()}
    return {"formErrors": fields.pop("non_field_errors", []), "fieldErrors": fields}


def spoken(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details with messages as a form shows them, such as `Required` or `Must be an integer`."""

    def say(message: str) -> str:
        return "Required" if message == "is required" else message[:1].upper() + message[1:]

    return {
        "fieldErrors": {name: [say(one) for one in found] for name, found in details["fieldErrors"].items()},
        "formErrors": [say(one) for one in details["formErrors"]],
    }
