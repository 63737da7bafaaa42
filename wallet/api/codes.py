"""The codes that name errors for programs (contract 27)."""

from http import HTTPStatus

from django.db import models


class Code(models.TextChoices):
    """A code, and what it means. `BillingError.code` says which code an error has."""

    INVALID = "invalid", "The body, the query or a bound is wrong."
    UNKNOWN_FEATURE = "unknown_feature", "The feature has no active rate."
    NO_CREDENTIALS = "no_credentials", "No service key, or no access token where one is enough."
    WRONG_CREDENTIALS = "wrong_credentials", "A service key or an access token that is not valid now."
    MAY_NOT_READ = "may_not_read", "The service key has no right to read."
    MAY_NOT_CHARGE = "may_not_charge", "The service key has no right to charge."
    MAY_NOT_REFUND = "may_not_refund", "The service key has no right to refund."
    MAY_NOT_GRANT = "may_not_grant", "The service key has no right to grant."
    FEATURE_NOT_ALLOWED = (
        "feature_not_allowed",
        "The key may not charge this feature, or staff stopped the product.",
    )
    NOT_YOURS = "not_yours", "A user names another user."
    NOT_FOUND = "not_found", "This product and user have no such charge, hold or grant; or no such address."
    WRONG_METHOD = "wrong_method", "Another method is meant; `Allow` says which."
    TOO_SLOW = "too_slow", "The body did not arrive in time."
    KEY_REUSED = "key_reused", "The idempotency key came with another request."
    KEY_ENDED = (
        "key_ended",
        "The key's hold ended without a charge, its charge was given back, or its grant was voided.",
    )
    HOLD_CAPTURED = "hold_captured", "The hold was captured."
    HOLD_VOIDED = "hold_voided", "The hold was voided."
    HOLD_EXPIRED = "hold_expired", "The hold has expired."
    HOLD_TOO_OLD = "hold_too_old", "The hold would last more than 7 days."
    NOTHING_LEFT = "nothing_left", "Too few credits of the charge are left; `refundable` says how many."
    OVER_CAP = "over_cap", "The grant is above what the key may grant; `left` says how much it may."
    TOO_MANY = "too_many", "The user has too many open holds, grants with credits left, or budgets."
    CONFLICT = "conflict", "The request conflicts with what is recorded."
    TOO_LARGE = "too_large", "The body is too large."
    NOT_JSON = "not_json", "The body is not said to be JSON."
    SLOW_DOWN = "slow_down", "Too many requests; ask again after `Retry-After` seconds."
    FAILED = "failed", "A fault of ours."
    TRY_AGAIN = "try_again", "Nothing is known to have happened; ask again after `Retry-After` seconds."


# The code of an error that has none of its own, by its status.
USUAL = {
    HTTPStatus.BAD_REQUEST: Code.INVALID,
    HTTPStatus.UNAUTHORIZED: Code.NO_CREDENTIALS,
    HTTPStatus.FORBIDDEN: Code.WRONG_CREDENTIALS,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.WRONG_METHOD,
    HTTPStatus.REQUEST_TIMEOUT: Code.TOO_SLOW,
    HTTPStatus.CONFLICT: Code.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Code.NOT_JSON,
    HTTPStatus.TOO_MANY_REQUESTS: Code.SLOW_DOWN,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.FAILED,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.TRY_AGAIN,
}
