"""What every API path shares: strict reading, the two error envelopes, the one exception handler.

Reading is strict (contract 5): JSON only, at most 64 KiB, nesting at most 32, no duplicate keys, no NaN
or infinity; an integer is exactly a JSON integer and text exactly a JSON string. DRF as shipped takes
`"2"` for 2 and trims text, which is no way to read an amount.
"""

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
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
BEYOND_REACH = "The ledger cannot be reached right now; please try again."


# --- The two envelopes ------------------------------------------------------------------------------


def is_api_path(path: str) -> bool:
    """Whether everything under this path is answered in JSON, errors of any kind included."""
    return path.startswith(("/io/wallet/", "/mail/v1/", "/v1/"))


def envelope(path: str, sentence: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The error body of a path (contract 2).

    Chosen by path, not by view, because a wrong host, an unknown path and a crash have no view.
    """
    if not path.startswith("/io/wallet/"):
        return {"success": False, "error": sentence} | ({"details": details} if details else {})
    if path.rstrip("/") == "/io/wallet/deduct":
        # A caller that reads only `allowed` must be denied by whatever is not a 200.
        return {"allowed": False, "error": sentence}
    return {"error": sentence}


def error_response(
    request: HttpRequest,
    status: int,
    sentence: str,
    *,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """An error in the envelope of the request's path."""
    body = envelope(request.path, sentence, details)
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
    if isinstance(error, exceptions.ValidationError):
        details = flattened(error.detail)
        sentence = sentence_of(details) if http.path.startswith("/io/wallet/") else "Validation failed"
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
            return 404, "Not found", {}
        case PermissionDenied():
            return 403, "You may not do this", {}
        case RequestDataTooBig():
            return 413, str(TooLarge()), {}
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


class StrictInteger(serializers.IntegerField):
    """Exactly a JSON integer: `"2"`, `2.0`, `1e2` and `true` are not."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "required": "is required",
        "null": "is required",
        "invalid": "must be an integer",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class StrictText(serializers.CharField):
    """Exactly a JSON string, never trimmed, 1 to `max_length` printable characters."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "required": "is required",
        "null": "is required",
        "blank": "must not be empty",
        "invalid": "must be text",
        "unprintable": "must hold printable characters only",
        "max_length": "must be at most {max_length} characters",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # DRF's own version trims before it looks for a blank.
        if isinstance(data, str) and data == "":
            self.fail("blank")
        return super(serializers.CharField, self).run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not data.isprintable():  # Control characters, NUL and lone surrogates are all unprintable.
            self.fail("unprintable")
        return data


class StrictSerializer(serializers.Serializer):
    """A request's shape. `null` in an optional field means absent; unknown fields are ignored."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "The body must be a JSON object"}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            optional = {name for name, field in self.fields.items() if not field.required}
            data = {name: value for name, value in data.items() if not (value is None and name in optional)}
        return super().to_internal_value(data)


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
            response["Cache-Control"] = "no-store"
            return response
        return super().finalize_response(request, response, *args, **kwargs)

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


def no_store(body: Any) -> Response:
    """An answer that no cache on the way may keep."""
    return Response(body, headers={"Cache-Control": "no-store"})
