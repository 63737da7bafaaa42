"""The key endpoints. Only a user who is signed in with a browser may call them (contract 22)."""

from typing import ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers as drf
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from accounts import api_keys
from accounts.api import serializers
from accounts.api.creators import CreatorViewSet, errors
from accounts.api.schema import creators_schema
from accounts.errors import UnknownApiKey
from accounts.models import ApiKey
from accounts.permissions import IsBrowser
from foundation.http.views import no_store

DONE = inline_serializer("KeyRevoked", {"success": drf.BooleanField()})


@creators_schema
class KeyViewSet(CreatorViewSet):
    """A user's own `msk_` keys."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsBrowser,)
    access: ClassVar = {}

    @extend_schema(
        operation_id="keys_list",
        summary="List API keys",
        tags=["API keys"],
        responses={200: serializers.KeyList} | errors(but=403),
    )
    def list(self, request: Request) -> HttpResponse:
        """List your keys, newest first, revoked ones too. No answer but that of a new key has its secret.

        Only the dashboard's session may call this: no key and no access token.
        """
        mine = ApiKey.objects.with_last_use().filter(owner=self.creator).order_by("-created_at")
        return no_store({"success": True, "keys": serializers.KeyRow(mine, many=True).data})

    @extend_schema(
        operation_id="keys_create",
        summary="Create an API key",
        tags=["API keys"],
        request=serializers.KeyRequest,
        responses={201: serializers.KeyMade} | errors(413, 415),
    )
    def create(self, request: Request) -> HttpResponse:
        """Create a key. Only this answer has its secret, so keep it now.

        Your plan says how many active keys you may have; one more is 403. Each request makes another key.

        Only the dashboard's session may call this, with its CSRF token: no key and no access token may make
        a lasting key.
        """
        requested = self.parsed(serializers.KeyRequest)
        made, secret = api_keys.issue(
            owner=self.creator,
            name=requested["name"],
            scopes=requested["scopes"],
            allowed_account_id=requested.get("allowedAccountId"),
            expires_at=requested.get("expiresAt"),
        )
        answer = serializers.KeyMade({"success": True, "key": secret, "made": made})
        return no_store(answer.data, status=201)

    @extend_schema(
        operation_id="keys_revoke",
        summary="Revoke an API key",
        tags=["API keys"],
        responses={200: DONE} | errors(),
    )
    def destroy(self, request: Request, pk: UUID) -> HttpResponse:
        """Revoke a key, for good. It is refused from the next request on. A second request for it is 404.

        Only the dashboard's session may call this, with its CSRF token.
        """
        api_keys.revoke(owner=self.creator, key_id=pk)
        return no_store({"success": True})

    @extend_schema(
        operation_id="keys_revoke_named",
        summary="Revoke a key by query",
        tags=["API keys"],
        parameters=[
            OpenApiParameter("id", OpenApiTypes.UUID, required=True, description="The `id` of the key.")
        ],
        responses={200: DONE} | errors(),
    )
    def destroy_named(self, request: Request) -> HttpResponse:
        """Revoke the key whose id is in the query. It does what `DELETE /mail/v1/keys/{id}` does, and is
        there for clients that send the id this way.

        Only the dashboard's session may call this, with its CSRF token.
        """
        named = request.query_params.get("id")
        if not named:
            raise drf.ValidationError({"id": ["is required"]})
        try:
            key_id = UUID(named)
        except ValueError:
            raise UnknownApiKey from None
        return self.destroy(request, key_id)
