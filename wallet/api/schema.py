"""Parts of the wallet's OpenAPI schema: parameters, headers, and the meaning of each error status."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from accounts.api import schema
from accounts.misar_ids import MISAR_ID_LENGTH
from wallet.api import serializers
from wallet.history.statements import PAGE_DEFAULT, PAGE_MAX

USER_ID = OpenApiParameter(
    "user_id",
    {"type": "string", "minLength": 1, "maxLength": MISAR_ID_LENGTH},
    description="Required with a service key; with a bearer token, only the bearer's own id.",
)
AT = OpenApiParameter(
    "at",
    OpenApiTypes.DATETIME,
    description="A past time: what the user had after everything up to and including it. A time without a "
    "fraction means the whole second. Default: now.",
)
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    description="How many rows a page has at most.",
)
CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="The `nextCursor` of the page before.")
STRIPE_SIGNATURE = OpenApiParameter(
    "Stripe-Signature",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="Stripe's signature of the body, of the last 300 seconds.",
)
REPLAYED = schema.header(
    "Idempotent-Replayed",
    {"type": "string", "enum": ["true"]},
    "There when this is the first answer to the same key again.",
    response=[200],
    required=False,
)

REFUSALS = schema.REFUSALS | {
    400: "The request cannot be read, or asks for what there is not.",
    401: "No access token, or one that is not valid now.",
    403: "No service key, or one that is not valid now or not for this; or another user's wallet.",
    404: "Nothing is at this address, for example because it ends in a slash.",
    409: "The idempotency key was used for another request, or its charge was given back.",
    503: "Nothing is known to have happened; ask again after `Retry-After` seconds, with the same key.",
}


def errors(
    *statuses: int, shape: type = serializers.WalletError, meanings: Mapping[int, str] | None = None
) -> dict[int, Any]:
    """Return the schema of the error answers of an endpoint.

    They have the given statuses, and 400, 404, 405, 500 and 503, which every endpoint can return. `meanings`
    says what a status means at this endpoint, if it is not the usual.
    """
    return schema.refusals(shape, REFUSALS | dict(meanings or {}), *statuses, 400, 404, 405, 500, 503)
