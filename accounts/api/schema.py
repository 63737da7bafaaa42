"""What the OpenAPI schema says beside the shapes: credentials, and the headers of creators' answers."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

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


# --- Headers of answers -----------------------------------------------------------------------------

# Whoever is not known is counted nowhere, and told nothing of limits.
COUNTED = [200, 201, 400, 403, 409, 413, 415, 429]


def header(name: str, kind: Any, description: str, **options: Any) -> OpenApiParameter:
    """A header of answers."""
    options = {"response": True, "required": True} | options
    return OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=description, **options)


HEADERS = [
    header("X-Request-ID", OpenApiTypes.STR, "Names this request in our log."),
    header(
        "Retry-After",
        {"type": "integer", "minimum": 1},
        "Seconds after which to ask again.",
        response=[429, 503],
    ),
    header("X-RateLimit-Limit", OpenApiTypes.INT, "Requests a minute.", response=COUNTED, required=False),
    header("X-RateLimit-Remaining", OpenApiTypes.INT, "How many are left.", response=COUNTED, required=False),
    header(
        "X-RateLimit-Reset",
        OpenApiTypes.INT,
        "When there are as many again, in Unix seconds.",
        response=COUNTED,
        required=False,
    ),
]
creators_schema = extend_schema(tags=["Creators"], parameters=HEADERS)
