"""The shapes of the key endpoints (contract part B, 6.2)."""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts import api_keys
from accounts.models import ApiKey
from foundation.http.fields import Moment, PlainText, StrictSerializer, StrictText

SCOPES_SCHEMA = {"type": "array", "items": {"type": "string", "enum": list(api_keys.SCOPES)}, "minItems": 1}


@extend_schema_field(SCOPES_SCHEMA)
class ScopeList(serializers.Field):
    """One or more scopes, each once."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "must be a list of scopes",
        "unknown": "holds a scope we don't know: {scope}",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not data or not all(isinstance(scope, str) for scope in data):
            self.fail("invalid")
        for scope in data:
            if scope not in api_keys.SCOPES:
                self.fail("unknown", scope=scope[:40] if scope.isprintable() else "?")
        return list(dict.fromkeys(data))


@extend_schema_field(OpenApiTypes.UUID)
class AccountId(StrictText):
    """A UUID."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            return uuid.UUID(text)
        except ValueError:
            raise serializers.ValidationError("must be a UUID") from None


class KeyRequest(StrictSerializer):
    """A wish for a key."""

    name = PlainText(max_length=api_keys.NAME_LENGTH)
    scopes = ScopeList(default=list(api_keys.DEFAULT_SCOPES))
    allowedAccountId = AccountId(required=False)
    expiresAt = Moment(required=False)

    def across(self, accepted: Mapping[str, Any]) -> dict[str, list[str]]:
        expires_at = accepted.get("expiresAt")
        if expires_at and expires_at <= timezone.now():
            return {"expiresAt": ["must be in the future"]}
        return {}


class KeyRow(serializers.ModelSerializer):
    """A key in the list; its secret is nowhere."""

    scopes = serializers.SerializerMethodField()
    is_active = serializers.SerializerMethodField()
    last_used_at = Moment(allow_null=True)
    created_at = Moment()
    expires_at = Moment(allow_null=True)

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "name",
            "key_prefix",
            "scopes",
            "allowed_account_id",
            "is_active",
            "last_used_at",
            "created_at",
            "expires_at",
        )

    key_prefix = serializers.CharField(source="prefix")

    def get_scopes(self, key: ApiKey) -> str:
        return ",".join(key.scopes)

    def get_is_active(self, key: ApiKey) -> bool:
        return key.is_usable(timezone.now())


@extend_schema_serializer(many=False)
class KeyList(serializers.Serializer):
    """A user's keys."""

    success = serializers.BooleanField()
    keys = KeyRow(many=True)


class KeyMade(serializers.Serializer):
    """A key just made, with its secret for the only time."""

    success = serializers.BooleanField()
    key = serializers.CharField()
    keyId = serializers.CharField()
    prefix = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.CharField()
    createdAt = Moment()
    expiresAt = Moment(allow_null=True)
