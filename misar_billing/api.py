"""What every API path shares: the two error envelopes, the one exception handler, the strict parser.

Bodies are JSON only, at most 64 KiB, nesting at most 32, without duplicate keys, NaN or infinity
(contract 5). What may stand in them is the matter of fields.py.
"""

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from rest_framework import exceptions, serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from misar_billing.errors import BillingError, TryAgainLater
from misar_billing.transactions import is_out_of_reach

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 64 * 1024
NESTING_MAX = 32
NOTHING_HERE = "There is nothing at this address."
BEYOND_REACH = "The ledger cannot be reached right now; please try again."


# --- The two envelopes ------------------------------------------------------------------------------


def is_api_path(path: str) -> bool:
    """Whether everything under this path is answered in JSON, errors of any kind included."""
    return f"{path}/".startswith(("/io/wallet/", "/mail/v1/", "/v1/"))


def is_wallet_path(path: str) -> bool:
    """Whether errors of this path are in the wallet's envelope."""
    return f"{path}/".startswith("/io/wallet/")


def envelope(
    path: str,
    sentence: str,
    details: Mapping[str, Any] | None = None,
    retry_after_seconds: int | None = None,
) -> dict[str, Any]:
    """The error body of a path (contract 2).

    Chosen by path, not by view, because a wrong host, an unknown path and a crash have no view.
    """
    if is_wallet_path(path):
        # On deduct a caller that reads only `allowed` must be denied by whatever is not a 200.
        denied = {"allowed": False} if path.rstrip("/") == "/io/wallet/deduct" else {}
        return denied | {"error": sentence}
    body: dict[str, Any] = {"success": False, "error": sentence}
    if details:
        body["details"] = details
    if retry_after_seconds is not None:
        body["retryAfter"] = retry_after_seconds
    return body


def error_response(
    request: HttpRequest,
    status: int,
    sentence: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """An error in the envelope of the request's path."""
    headers = {"Cache-Control": "no-store"} | dict(headers or {})
    wait = int(headers["Retry-After"]) if status == HTTPStatus.TOO_MANY_REQUESTS else None
    body = envelope(request.path, sentence, details, wait)
    # As compact as the answers of the views, and as the documented bodies.
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    return JsonResponse(body, status=status, headers=headers, json_dumps_params=compact)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> JsonResponse:
    """Turn whatever a view raised into an answer in its envelope. Nothing gets past it as HTML."""
    request: Request = context["request"]
    http: HttpRequest = request._request
    known = _known(error)
    if known is None:
        logger.error("Unexpected failure on %s", http.path, exc_info=error)
        return error_response(http, 500, "Something went wrong on our side.")
    status, sentence, headers = known
    details = None
    if isinstance(error, exceptions.ValidationError | BadJSON):
        found = flattened(error.detail if isinstance(error, exceptions.ValidationError) else [sentence])
        if is_wallet_path(http.path):
            sentence = sentence_of(found)
        else:
            sentence, details = "Validation failed", spoken(found)
    return error_response(http, status, sentence, details=details, headers=headers)


def _known(error: Exception) -> tuple[int, str, dict[str, str]] | None:
    """Status, sentence and headers of an expected failure; None for a bug."""
    if is_out_of_reach(error):
        logger.warning("Database out of reach: %s", str(error).splitlines()[0] if str(error) else error)
        error = TryAgainLater(BEYOND_REACH)
    match error:
        case BillingError():
            return error.status, str(error), error.headers
        case Http404():
            return 404, NOTHING_HERE, {}
        case PermissionDenied():
            return 403, "You may not do this", {}
        case UnreadablePostError():  # The client went away, or fell silent.
            return 408, "The body did not arrive in time", {}
        case RequestDataTooBig():
            return 413, str(TooLarge()), {}
        case SuspiciousOperation():  # For example more query parameters than anybody means.
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
    """DRF's nested error lists as `fieldErrors` and `formErrors`, always both (contract 2)."""
    if isinstance(errors, list):
        return {"fieldErrors": {}, "formErrors": [str(error) for error in errors]}
    fields = {str(name): [str(one) for one in found] for name, found in errors.items()}
    return {"formErrors": fields.pop("non_field_errors", []), "fieldErrors": fields}


def spoken(details: Mapping[str, Any]) -> dict[str, Any]:
    """Messages as a form shows them beside its fields: `Required`, `Must be an integer`."""

    def say(message: str) -> str:
        return "Required" if message == "is required" else message[:1].upper() + message[1:]

    return {
        "fieldErrors": {name: [say(one) for one in found] for name, found in details["fieldErrors"].items()},
        "formErrors": [say(one) for one in details["formErrors"]],
    }


def sentence_of(details: Mapping[str, Any]) -> str:
    """The first validation error as the one sentence a wallet answer holds.

    A message in lower case is a predicate and gets its field's name, in snake case as in the documented
    `amount_dollars must be an integer`; one that begins with a capital is a sentence already.
    """
    if details["formErrors"]:
        return str(details["formErrors"][0])
    name, found = next(iter(details["fieldErrors"].items()))
    if found[0][:1].isupper():
        return str(found[0])
    snake = re.sub("([A-Z])", r"_\1", name).lower()
    return f"{snake} {found[0]}"


# --- Strict reading ---------------------------------------------------------------------------------


class BadJSON(BillingError):
    """Raised when a body is not the strict JSON this service reads."""

    sentence = "The body is not valid JSON"


class TooLarge(BillingError):
    """Raised when a body is longer than the path reads."""

    status = 413
    sentence = "The body is too large"


class WrongMediaType(BillingError):
    """Raised when a request with a body does not say that it is JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    sentence = "Content-Type must be application/json"


def read_body(request: HttpRequest, *, limit_bytes: int) -> bytes:
    """The raw body, refused by its declared length before a byte of it is read."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isdigit() or int(declared) > limit_bytes:
        raise TooLarge
    return request.read(limit_bytes)


def parse_json(body: bytes) -> Any:
    """Strict JSON, or BadJSON with the reason."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJSON("The body is not UTF-8") from error
    if _depth(text) > NESTING_MAX:
        raise BadJSON(f"The body is nested deeper than {NESTING_MAX} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except ValueError as error:  # Includes integers longer than Python converts.
        raise BadJSON from error


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def _depth(text: str) -> int:
    """How deep the brackets go, counted before the parser recurses into them."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJSON("The body names a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise BadJSON(f"The body holds {name}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise BadJSON("The body holds a number that is too large")
    return number


class StrictJSONParser(BaseParser):
    """DRF's way to `parse_json`."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        assert parser_context is not None  # DRF always passes it
        return parse_json(read_body(parser_context["request"]._request, limit_bytes=BODY_BYTES_MAX))


# --- The base of every API view ---------------------------------------------------------------------


class AlwaysJSON(BaseContentNegotiation):
    """Answer JSON whatever `Accept` asks for: there is nothing else to choose from."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class JSONViewSet(ViewSet):
    """A viewset that reads strictly, answers JSON only, and counts a request before it judges rights."""

    parser_classes = (StrictJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    format_kwarg = None
    # Without OPTIONS: CORS answers its preflights before a view is asked.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    reads_json: ClassVar[bool] = True
    # What a throttle wants every answer to say.
    rate_limit_headers: Mapping[str, str] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        method = str(request.method)
        if method.lower() not in self.action_map:
            raise exceptions.MethodNotAllowed(method)  # Whoever asks: no credential changes it.
        self.perform_authentication(request)
        # DRF checks rights first; here every authenticated request counts, whatever its answer (contract 15).
        self.check_throttles(request)
        self.check_permissions(request)
        if method in {"POST", "PUT", "PATCH"} and self.reads_json:
            _require_json(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(response, JsonResponse):
            # An error, rendered already; DRF would look for a renderer to set on it.
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                response["Allow"] = ", ".join(self.allowed_methods)
        else:
            response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.rate_limit_headers.items():
            response[name] = value
        return response

    def parsed(self, shape: type[serializers.Serializer], data: Any = None) -> dict[str, Any]:
        """The body (or `data`) in the given shape, or a validation error."""
        reading = shape(data=self.request.data if data is None else data)
        reading.is_valid(raise_exception=True)
        return dict(reading.validated_data)


def _require_json(request: Request) -> None:
    media_type, _, parameters = (request.content_type or "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise WrongMediaType


def no_store(body: Any, *, status: int = 200) -> Response:
    """An answer that no cache on the way may keep."""
    return Response(body, status=status, headers={"Cache-Control": "no-store"})
