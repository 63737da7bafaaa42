"""DRF authenticators: which credential does a request have, and is it valid?

They set `request.auth` to the credential: a ServiceKey, a Bearer or an ApiKey. A view lists the
authenticators that it uses; `permissions.py` decides what happens to a request without a credential.
"""

from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import api_keys, service_keys, sso, users
from accounts.errors import InvalidApiKey, InvalidToken
from accounts.models import ApiKey, ServiceKey, User


@dataclass(frozen=True)
class Bearer:
    """A user who proved their Misar ID with an SSO access token."""

    misar_id: str


class ServiceKeyAuthentication(BaseAuthentication):
    """`x-wallet-service-key`. If it is present but wrong, no other credential is tried.

    With `remembered`, a key that this process has just looked up is not looked up again. That is for views
    that prove the key in the transaction of its effect (`service_keys.remembered`).
    """

    def __init__(self, *, remembered: bool = False) -> None:
        self._remembered = remembered

    def authenticate(self, request: Request) -> tuple[None, ServiceKey] | None:
        secret = request.META.get("HTTP_X_WALLET_SERVICE_KEY")
        if secret is None:
            return None
        key = service_keys.remembered(secret) if self._remembered else None
        return None, key or service_keys.find_service_key(secret)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <SSO access token>`."""

    def authenticate(self, request: Request) -> tuple[None, Bearer] | None:
        token = bearer_of(request)
        return None if token is None else (None, Bearer(misar_id=sso.misar_id_of(token)))


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer msk_...`: the request acts for the key's owner."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        try:
            token = bearer_of(request)
        except InvalidToken as error:
            raise InvalidApiKey from error
        if token is None or not token.startswith(api_keys.API_KEY_PREFIX):
            return None
        key = api_keys.find(token)
        return key.owner, key


class SsoUserAuthentication(BaseAuthentication):
    """`Authorization: Bearer <SSO access token>`: the request acts for that user, who is created if new."""

    def authenticate(self, request: Request) -> tuple[User, Bearer] | None:
        token = bearer_of(request)
        if token is None:
            return None
        try:
            bearer = Bearer(misar_id=sso.misar_id_of(token))
        except InvalidToken as error:
            raise InvalidApiKey from error
        user = users.known_as(bearer.misar_id)
        if not user.is_active:
            raise InvalidApiKey
        return user, bearer


def bearer_of(request: Request | HttpRequest) -> str | None:
    """Return the token of the Authorization header; None if the request has no such header.

    Raises InvalidToken if the scheme is not Bearer, or if the token is not ASCII.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.isascii():
        raise InvalidToken
    return str(token.strip())
