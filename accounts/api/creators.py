"""The base of a creator's endpoints under /mail/v1: authentication, access, rate limit and errors."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, cast

from django.utils import timezone
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from accounts.api import schema
from accounts.authentication import ApiKeyAuthentication, SsoUserAuthentication
from accounts.models import ApiKey, User
from accounts.permissions import Access, HasAccess
from accounts.throttling import WindowThrottle
from foundation.http.views import JSONViewSet


class CreatorThrottle(WindowThrottle):
    """Limit the requests per minute of each API key. Without a key, limit the requests of each user.

    Headers of every answer say how many requests are left.
    """

    scope = "mail"
    limit_setting = "CREATOR_REQUESTS_PER_MINUTE"
    tells = True

    def facts(self, request: Request) -> tuple[str, ...] | None:
        if isinstance(request.auth, ApiKey):
            return "key", str(request.auth.pk)
        return ("user", str(request.user.pk)) if request.user else None


class CreatorViewSet(JSONViewSet):
    """The base of viewsets that work on one creator's records. `access` says who may call each action."""

    authentication_classes: Sequence[Any] = (
        ApiKeyAuthentication,
        SsoUserAuthentication,
        SessionAuthentication,
    )
    permission_classes: Sequence[Any] = (HasAccess,)
    throttle_classes = (CreatorThrottle,)
    access: ClassVar[dict[str, Access]]

    @property
    def creator(self) -> User:
        """Return the creator whose records this request reads or changes."""
        return cast(User, self.request.user)

    @cached_property
    def now(self) -> datetime:
        """Return the time of this request. It stays the same until the request ends."""
        return timezone.now()


class Details(serializers.Serializer):
    """The errors of each field, and the errors of the whole request."""

    fieldErrors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    formErrors = serializers.ListField(child=serializers.CharField())


class CreatorError(serializers.Serializer):
    """Why a request was refused."""

    success = serializers.BooleanField(help_text="False, always.")
    error = serializers.CharField()
    details = Details(required=False)
    retryAfter = serializers.IntegerField(required=False)


REFUSALS = schema.REFUSALS | {
    400: "The request cannot be read, or is not what it must be: `details` names all that is wrong.",
    401: "No credential, or one that is not valid now.",
    403: "The key lacks the scope, the session its CSRF token, or the plan has no room.",
    404: "Not there, or another creator's; or nothing is at this address.",
    409: "It was recorded otherwise, the key was used for another body, or the place is taken.",
    503: "Nothing is known to have happened; ask again after `Retry-After` seconds.",
}


def errors(*statuses: int, but: int | None = None) -> dict[int, Any]:
    """Return the schema of error answers: the given statuses, and those that every endpoint can return.

    `but` is a status that this endpoint never returns.
    """
    usual = {400, 401, 403, 404, 405, 429, 500, 503} - {but}
    return schema.refusals(CreatorError, REFUSALS, *statuses, *usual)
