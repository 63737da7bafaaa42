"""What the OpenAPI schema says beside the shapes: parameters, headers, and what each refusal means."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from accounts.misar_ids import MISAR_ID_LENGTH
from wallet.api import serializers
from wallet.history.statements import PAGE_DEFAULT, PAGE_MAX

USER_ID = OpenApiParameter(
    "user_id",
    {"type": "string", "minLength": 1, "maxLength": MISAR_ID_LENGTH},
    description="Required with a service key; with a bearer, nobody but the bearer.",
)
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT}
)
CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="The `nextCursor` of the page before.")
STRIPE_SIGNATURE = OpenApiParameter(
    "Stripe-Signature", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True
)

# --- Headers of answers -----------------------------------------------------------------------------

REQUEST_ID = OpenApiParameter(
    "X-Request-ID",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=True,
    required=True,
    description="Names this request in our log.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    {"type": "integer", "minimum": 1},
    OpenApiParameter.HEADER,
    response=[429, 503],
    required=True,
    description="Seconds after which to ask again.",
)
REPLAYED = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200],
    description="There when this is the first answer to the same key again.",
)

# --- Refusals ---------------------------------------------------------------------------------------

REFUSALS = {
    400: "The request cannot be read, or asks for what there is not.",
    401: "No access token, or one that is not valid now.",
    403: "No service key, or one that is not valid now or not for this; or somebody else's wallet.",
    404: "Nothing is at this address, for example because it ends in a slash.",
    405: "Another method is meant; `Allow` says which.",
    409: "The idempotency key was used for another request, or its charge was given back.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    429: "Too many requests; ask again after `Retry-After` seconds.",
    500: "A fault of ours.",
    503: "Nothing is known to have happened; ask again after `Retry-After` seconds, with the same key.",
}
ANYWHERE = (400, 404, 405, 500, 503)


def errors(*statuses: int, shape: type = serializers.WalletError) -> dict[int, OpenApiResponse]:
    """The schema of an endpoint's refusals, with those any endpoint can answer."""
    return {status: OpenApiResponse(shape, REFUSALS[status]) for status in sorted({*statuses, *ANYWHERE})}
