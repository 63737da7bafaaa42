"""DRF authenticators: which credential did the request bring, and is it good?

They set `request.auth` to the credential (a ServiceKey or a Bearer). Which credential an endpoint takes is
the view's list; what happens without one is `permissions.py`.
"""

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import keys, sso
from accounts.errors import InvalidToken
from accounts.models import ServiceKey


@dataclass(frozen=True)
class Bearer:
    """A user who proved their Misar ID with an SSO access token."""

    misar_id: str


class ServiceKeyAuthentication(BaseAuthentication):
    """`x-wallet-service-key`. One that is present but wrong ends it: no other credential is tried."""

    def authenticate(self, request: Request) -> tuple[None, ServiceKey] | None:
        secret = request.META.get("HTTP_X_WALLET_SERVICE_KEY")
        return None if secret is None else (None, keys.find_service_key(secret))


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <SSO access token>`."""

    def authenticate(self, request: Request) -> tuple[None, Bearer] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.isascii():
            raise InvalidToken
        return None, Bearer(misar_id=sso.misar_id_of(token.strip()))
