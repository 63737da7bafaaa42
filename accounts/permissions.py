"""What a view asks of whoever calls."""

from dataclasses import dataclass

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.errors import InvalidApiKey, MissingScope, NoCredentials, NoServiceKey, SessionRequired
from accounts.models import ApiKey, ServiceKey


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


@dataclass(frozen=True)
class Access:
    """Who may do one thing: a key with one of these scopes (None: any key), and a session or not."""

    scopes: tuple[str, ...] | None
    session: bool = True


class HasAccess(BasePermission):
    """What the view's `access` says of the action."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        access: Access = view.access[view.action]  # type: ignore[attr-defined]
        if isinstance(request.auth, ApiKey):
            if access.scopes is not None and not set(access.scopes) & set(request.auth.scopes):
                raise MissingScope(access.scopes[0])
            return True
        if request.user is None or not access.session:
            raise InvalidApiKey
        return True


class IsBrowser(BasePermission):
    """A user signed in with the dashboard's cookie, and nothing else."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None:
            raise SessionRequired
        return True
