"""The key endpoints: for a signed-in user in a browser, nobody else (contract 22)."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers as drf
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import api_keys
from accounts.api import serializers
from accounts.api.creators import CreatorViewSet, errors
from accounts.errors import UnknownApiKey
from accounts.models import ApiKey
from accounts.permissions import IsBrowser
from misar_billing.api import no_store

KEYS = inline_serializer("KeyList", {"success": drf.BooleanField(), "keys": serializers.KeyRow(many=True)})
DONE = inline_serializer("KeyRevoked", {"success": drf.BooleanField()})


class KeyViewSet(CreatorViewSet):
    """A user's own `msk_` keys."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsBrowser,)
    access: ClassVar = {}

    @extend_schema(operation_id="keys_list", responses={200: KEYS} | errors())
    def list(self, request: Request) -> Response:
        """List every key, newest first, revoked ones included."""
        mine = ApiKey.objects.filter(owner=self.creator).order_by("-created_at")
        return no_store({"success": True, "keys": serializers.KeyRow(mine, many=True).data})

    @extend_schema(
        operation_id="keys_create",
        request=serializers.KeyRequest,
        responses={201: serializers.KeyMade} | errors(400, 413, 415),
    )
    def create(self, request: Request) -> Response:
        """Make a key. Its secret is in this answer and nowhere else, ever."""
        asked = self.parsed(serializers.KeyRequest)
        key, secret = api_keys.issue(
            owner=self.creator,
            name=asked["name"],
            scopes=asked["scopes"],
            allowed_account_id=asked.get("allowedAccountId"),
            expires_at=asked.get("expiresAt"),
        )
        shown = {
            "success": True,
            "key": secret,
            "keyId": str(key.pk),
            "prefix": key.prefix,
            "name": key.name,
            "scopes": ",".join(key.scopes),
            "createdAt": key.created_at,
            "expiresAt": key.expires_at,
        }
        return Response(serializers.KeyMade(shown).data, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="keys_revoke",
        parameters=[OpenApiParameter("id", OpenApiTypes.UUID, required=True)],
        responses={200: DONE} | errors(400),
    )
    def destroy(self, request: Request, pk: UUID | None = None) -> Response:
        """Revoke a key, named by `?id=` or in the path."""
        api_keys.revoke(owner=self.creator, key_id=pk or _named(request))
        return no_store({"success": True})


def _named(request: Request) -> UUID:
    """The key that `?id=` names."""
    named = request.query_params.get("id")
    if not named:
        raise drf.ValidationError({"id": ["is required"]})
    try:
        return UUID(named)
    except ValueError:
        raise UnknownApiKey from None
