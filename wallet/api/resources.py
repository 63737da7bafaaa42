"""The base class of what products make for a user: holds, grants and budgets."""

from typing import Any, cast

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.authentication import BearerAuthentication, ServiceKeyAuthentication
from accounts.models import ServiceKey
from accounts.permissions import IsService, IsServiceOrBearer
from foundation.http.views import JSONViewSet
from foundation.text import is_id
from wallet.errors import NotFound


class ResourceViewSet(JSONViewSet):
    """Products write. A product reads its own, and a user reads their own of every product."""

    is_reading = False

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # DRF asks for the authenticators in here, before it knows the action.
        self.is_reading = request.method in ("GET", "HEAD")
        return super().initialize_request(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Users may read with a bearer token. All else is for products."""
        return [ServiceKeyAuthentication(), *([BearerAuthentication()] if self.is_reading else [])]

    def get_permissions(self) -> list[BasePermission]:
        return [IsServiceOrBearer() if self.is_reading else IsService()]


def service_of(request: Request) -> ServiceKey:
    """Return the service key of a request that only products may make."""
    return cast(ServiceKey, request.auth)


def known_id(text: str, *, otherwise: str) -> str:
    """Return an id from the path. Raises NotFound with the sentence `otherwise` if no row can have it."""
    if not is_id(text):
        raise NotFound(otherwise)
    return text
