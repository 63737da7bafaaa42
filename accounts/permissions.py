"""Which callers a view accepts."""

from dataclasses import dataclass

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.errors import InvalidApiKey, MissingScope, NoCredentials, NoServiceKey, SessionRequired
from accounts.models import ApiKey, ServiceKey


class IsService(BasePermission):
    """A product with its service key, or 403. A bearer token is no credential here, valid or not."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ServiceKey):
            raise NoServiceKey
        return True


class IsServiceOrBearer(BasePermission):
    """A product, or a user for their own wallet; 401 without credentials."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            raise NoCredentials
        return True


@dataclass(frozen=True)
class Access:
    """Who may call an action: a key with one of these scopes (None: any key), and perhaps a session."""

    scopes: tuple[str, ...] | None
    session: bool = True


class HasAccess(BasePermission):
    """Follows the view's `access` for the action."""

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
    """A user who is signed in with the dashboard's cookie."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None:
            raise SessionRequired
        return True
