"""The look-up of a service key, as most Django projects write it."""

from hashlib import sha256

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from bench.select_for_update_wallet.models import ServiceKey


class KeyAuthentication(BaseAuthentication):
    """`x-wallet-service-key`: one query for each request."""

    def authenticate(self, request: Request) -> tuple[None, ServiceKey]:
        secret = request.headers.get("x-wallet-service-key", "")
        digest = sha256(secret.encode()).hexdigest()
        try:
            return None, ServiceKey.objects.get(digest=digest, revoked_at=None)
        except ServiceKey.DoesNotExist as unknown:
            raise AuthenticationFailed from unknown
