"""The requests and answers of the key endpoints (contract part B, 6.2)."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from accounts import api_keys
from accounts.models import ApiKey
from foundation.http.fields import Moment, PlainText, StrictSerializer, StrictText
from foundation.text import beginning, is_id

SCOPES_SCHEMA = {"type": "array", "items": {"type": "string", "enum": list(api_keys.SCOPES)}, "minItems": 1}


@extend_schema_field(SCOPES_SCHEMA)
class ScopeList(serializers.Field):
    """A list of one or more scopes. A repeated scope counts once."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "must be a list of scopes",
        "unknown": "holds a scope we don't know: {scope}",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not data or not all(isinstance(scope, str) for scope in data):
            self.fail("invalid")
        for scope in data:
            if scope not in api_keys.SCOPES:
                self.fail("unknown", scope=beginning(scope, 40) if is_id(scope) else "?")
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


class Joined(serializers.CharField):
    """A list of words, written as one text with commas."""

    def to_representation(self, value: Iterable[str]) -> str:
        return ",".join(value)


class KeyRequest(StrictSerializer):
    """A request to create a key."""

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
    """A key as the list shows it, without its secret."""

    scopes = Joined(read_only=True)
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

    def get_is_active(self, key: ApiKey) -> bool:
        return key.is_usable(timezone.now())


@extend_schema_serializer(many=False)
class KeyList(serializers.Serializer):
    """A user's keys."""

    success = serializers.BooleanField()
    keys = KeyRow(many=True)


class KeyMade(serializers.Serializer):
    """A new key with its secret. No other answer contains the secret."""

    success = serializers.BooleanField()
    key = serializers.CharField()
    keyId = serializers.CharField(source="made.pk")
    prefix = serializers.CharField(source="made.prefix")
    name = serializers.CharField(source="made.name")
    scopes = Joined(source="made.scopes")
    createdAt = Moment(source="made.created_at")
    expiresAt = Moment(source="made.expires_at", allow_null=True)
