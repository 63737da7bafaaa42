"""Which callers a view accepts."""

from collections.abc import Mapping
from dataclasses import dataclass

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.errors import (
    InvalidApiKey,
    MissingRight,
    MissingScope,
    NoCredentials,
    NoServiceKey,
    SessionRequired,
)
from accounts.models import ApiKey, Right, ServiceKey


class IsService(BasePermission):
    """Accepts a product with its service key; others get a 403. Even a valid bearer token does not count.

    If the view has `rights`, the key needs the right that they name for the action.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ServiceKey):
            raise NoServiceKey
        _require_right(request.auth, view)
        return True


class IsServiceOrBearer(BasePermission):
    """Accepts a product, or a user with a bearer token. A request without credentials gets a 401.

    The view then limits a user to their own wallet. If the view has `rights`, a service key needs the right
    that they name for the action; a user needs none.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is None:
            raise NoCredentials
        if isinstance(request.auth, ServiceKey):
            _require_right(request.auth, view)
        return True


def _require_right(key: ServiceKey, view: APIView) -> None:
    """Raise MissingRight if the key lacks the right that the view's `rights` name for its action."""
    rights: Mapping[str, str] | None = getattr(view, "rights", None)
    if rights is None:
        return
    # An action that `rights` do not name is a mistake in the view. It fails, instead of serving every key.
    right = Right(rights[view.action])  # type: ignore[attr-defined]
    if not key.may(right):
        raise MissingRight(right.value, words=right.label)


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
