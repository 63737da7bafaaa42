"""Read a request body strictly (contract 5).

A body must be JSON of at most 64 KiB, nested at most 32 levels deep, without duplicate keys, NaN or infinity.
fields.py checks the fields of a body.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from foundation.errors import BillingError

BODY_BYTES_MAX = 64 * 1024
NESTING_MAX = 32


class BadJSON(BillingError):
    """Raised when a body is not strict JSON."""

    sentence = "The body is not valid JSON"


class TooLarge(BillingError):
    """Raised when a body is longer than its path allows."""

    status = 413
    sentence = "The body is too large"


class WrongMediaType(BillingError):
    """Raised when the Content-Type of a request with a body is not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    sentence = "Content-Type must be application/json"


def read_body(request: HttpRequest, *, limit_bytes: int) -> bytes:
    """Return the raw body. If its Content-Length is too large, raise TooLarge before any byte is read."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isdigit() or int(declared) > limit_bytes:
        raise TooLarge
    return request.read(limit_bytes)


def parse_json(body: bytes) -> Any:
    """Return the value of a strict JSON body. Raise BadJSON with the reason if it is not strict JSON."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJSON("The body is not UTF-8") from error
    if depth_of(text) > NESTING_MAX:
        raise BadJSON(f"The body is nested deeper than {NESTING_MAX} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except ValueError as error:  # Also raised for integers that are too long for Python.
        raise BadJSON from error


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def depth_of(text: str) -> int:
    """Return how deep the brackets are nested. This runs before the parser, which would recurse into them."""
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
    """Makes DRF read bodies with `parse_json`."""

    media_type = "application/json"
    limit_bytes = BODY_BYTES_MAX

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        assert parser_context is not None  # DRF always passes it
        return parse_json(read_body(parser_context["request"]._request, limit_bytes=self.limit_bytes))
