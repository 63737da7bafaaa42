"""The parts of the OpenAPI schema that are not serializers: credentials, headers, meanings of refusals."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

# --- Credentials ------------------------------------------------------------------------------------


class ServiceKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ServiceKeyAuthentication"
    name = "serviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "x-wallet-service-key"}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.BearerAuthentication"
    name = "ssoBearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "msk_ and 64 hex digits"}


class SsoUserScheme(BearerScheme):
    target_class = "accounts.authentication.SsoUserAuthentication"
    name = "ssoUser"


# --- Response headers -------------------------------------------------------------------------------

# Only these statuses have the rate limit headers: a request without a known caller is not counted.
COUNTED = [200, 201, 400, 403, 409, 413, 415, 429]


def header(name: str, kind: Any, description: str, **options: Any) -> OpenApiParameter:
    """Return a response header."""
    options = {"response": True, "required": True} | options
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=description, **options)


def _limit(name: str, description: str) -> OpenApiParameter:
    return header(name, OpenApiTypes.INT, description, response=COUNTED, required=False)


REQUEST_ID = header("X-Request-ID", OpenApiTypes.STR, "Names this request in our log.")
RETRY_AFTER = header(
    "Retry-After",
    {"type": "integer", "minimum": 1},
    "Seconds after which to ask again.",
    response=[429, 503],
)
HEADERS = [
    REQUEST_ID,
    RETRY_AFTER,
    _limit("X-RateLimit-Limit", "How many requests a minute this key, or this user, may send."),
    _limit("X-RateLimit-Remaining", "How many of them are left."),
    _limit("X-RateLimit-Reset", "When the count begins anew, in Unix seconds."),
]
creators_schema = extend_schema(parameters=HEADERS)

# --- Refusals ---------------------------------------------------------------------------------------

REFUSALS = {
    405: "Another method is meant; `Allow` says which.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    429: "Too many requests; ask again after `Retry-After` seconds.",
    500: "A fault of ours.",
}


def refusals(shape: type, meanings: Mapping[int, str], *statuses: int) -> dict[int, Any]:
    """Return the responses of an endpoint's refusals, by status. All refusals have the same shape."""
    return {status: OpenApiResponse(shape, meanings[status]) for status in sorted(set(statuses))}
