"""What a view asks of whoever calls."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.errors import NoCredentials, NoServiceKey
from accounts.models import ServiceKey


class IsService(BasePermission):
    """A product with its service key, or 403: a bearer is no credential here, good or bad."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ServiceKey):
            raise NoServiceKey
        return True


class IsServiceOrBearer(BasePermission):
    """A product, or a user for themselves; 401 for nobody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            raise NoCredentials
        return True
