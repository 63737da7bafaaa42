"""Which callers a view accepts."""

from dataclasses import dataclass

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.errors import InvalidApiKey, MissingScope, NoCredentials, NoServiceKey, SessionRequired
from accounts.models import ApiKey, ServiceKey


class IsService(BasePermission):
    """Accepts a product with its service key; others get a 403. Even a valid bearer token does not count."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ServiceKey):
            raise NoServiceKey
        return True


class IsServiceOrBearer(BasePermission):
    """Accepts a product, or a user with a bearer token. A request without credentials gets a 401.

    The view then limits a user to their own wallet.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            raise NoCredentials
        return True


@dataclass(frozen=True)
class Access:
    """Who may call an action of a view: an API key with one of `scopes` (None: any API key).

    If `session` is true, a user with a session or an SSO access token may call it too.
    """

    scopes: tuple[str, ...] | None
    session: bool = True


class HasAccess(BasePermission):
    """Accepts the callers that the view's `access` allows for the action."""

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
    """Accepts a user who is signed in with the dashboard's cookie."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None:
            raise SessionRequired
        return True
