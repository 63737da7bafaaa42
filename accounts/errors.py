"""Errors about the caller's credentials, and refusals because of a plan or a key."""

from foundation.errors import BillingError, Conflict, TryAgainLater


class NoCredentials(BillingError):
    """Raised when an endpoint for users and products gets a request without credentials."""

    status = 401
    code = "no_credentials"
    sentence = "Send an SSO access token as Authorization: Bearer, or a service key"
    headers = {"WWW-Authenticate": "Bearer"}


class InvalidToken(BillingError):
    """Raised when a bearer token is malformed, not valid now, or not from our issuer for our audience.

    The answer never says why.
    """

    status = 401
    code = "wrong_credentials"
    sentence = "Invalid or expired access token"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class NoServiceKey(BillingError):
    """Raised when a request without a service key comes to an endpoint that only products may call."""

    status = 403
    code = "no_credentials"
    sentence = "This endpoint needs a valid x-wallet-service-key"


class InvalidServiceKey(NoServiceKey):
    """Raised when a service key is unknown, revoked or expired. The answer never says which."""

    sentence = "Invalid x-wallet-service-key"
    code = "wrong_credentials"


class SomebodyElsesWallet(BillingError):
    """Raised when a user requests the wallet of another user."""

    status = 403
    code = "not_yours"
    sentence = "You may read your own wallet only"


class FeatureNotAllowed(BillingError):
    """Raised when the prefixes of a service key do not allow the feature that the product charges."""

    status = 403
    code = "feature_not_allowed"

    def __init__(self, feature: str) -> None:
        super().__init__(f"This service key may not charge {feature}")


class ProductStopped(BillingError):
    """Raised when a product charges a feature although staff have stopped the product."""

    status = 403
    code = "feature_not_allowed"
    sentence = "This product was stopped; no feature may be charged"


class MissingRight(BillingError):
    """Raised when a service key is valid but lacks the right that the endpoint needs.

    `words` name in the sentence what the right allows, such as `top up` for the right `topup`.
    """

    status = 403

    def __init__(self, right: str, *, words: str) -> None:
        self.code = f"may_not_{right}"
        super().__init__(f"This service key has no right to {words}")


class InvalidApiKey(BillingError):
    """Raised when a request to a creator's endpoint has no valid credential. The answer never says why."""

    status = 401
    sentence = "Invalid or missing API key. Use: Authorization: Bearer msk_..."
    headers = {"WWW-Authenticate": "Bearer"}


class MissingScope(BillingError):
    """Raised when a key is valid but lacks the scope of the endpoint. The sentence names the scope."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(f"API key does not have '{scope}' scope")


class SessionRequired(BillingError):
    """Raised when a request manages keys without a browser session. An API key must not create other keys."""

    status = 401
    sentence = "Sign in to manage API keys"


class KeyLimitReached(BillingError):
    """Raised when the user's plan allows no further active key."""

    status = 403

    def __init__(self, limit: int) -> None:
        keys = "1 active API key" if limit == 1 else f"{limit} active API keys"
        super().__init__(f"Your plan allows {keys}. Revoke one, or change your plan")


class UnknownApiKey(BillingError):
    """Raised when a key does not exist, belongs to another user, or was already revoked."""

    status = 404
    sentence = "API key not found"


class IssuerOutOfReach(TryAgainLater):
    """Raised when no key of the SSO issuer is available. The token may be valid, so the status is not 401."""

    sentence = "Access tokens cannot be checked right now; please try again."
    headers = {"Retry-After": "5"}


class ForeignSubject(BillingError):
    """Raised when the subject of the issuer's token is no Misar ID, or begins with `staff:`."""

    status = 403
    sentence = "This Misar account cannot sign in here"


class PlanThere(Conflict):
    """Raised when a staff member adds a plan with the slug of an existing plan."""
