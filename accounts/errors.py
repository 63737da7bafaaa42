"""What can be wrong with the caller, and what a plan or a key refuses."""

from foundation.errors import BillingError, Conflict, TryAgainLater


class NoCredentials(BillingError):
    """Raised when a request without credentials comes to an endpoint for a user or a product."""

    status = 401
    sentence = "Send an SSO access token as Authorization: Bearer, or a service key"
    headers = {"WWW-Authenticate": "Bearer"}


class InvalidToken(BillingError):
    """Raised when a bearer token is not one of ours, or not valid now. It never says which."""

    status = 401
    sentence = "Invalid or expired access token"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class NoServiceKey(BillingError):
    """Raised when a request without a service key comes to an endpoint for products alone."""

    status = 403
    sentence = "This endpoint needs a valid x-wallet-service-key"


class InvalidServiceKey(NoServiceKey):
    """Raised when a service key is unknown, revoked or expired. It never says which."""

    sentence = "Invalid x-wallet-service-key"


class SomebodyElsesWallet(BillingError):
    """Raised when a user asks for a wallet that is not their own."""

    status = 403
    sentence = "You may read your own wallet only"


class FeatureNotAllowed(BillingError):
    """Raised when a service key charges a feature outside its prefixes."""

    status = 403

    def __init__(self, feature: str) -> None:
        super().__init__(f"This service key may not charge {feature}")


class InvalidApiKey(BillingError):
    """Raised when a request to a creator's endpoint has no credential or a wrong one. It never says which."""

    status = 401
    sentence = "Invalid or missing API key. Use: Authorization: Bearer msk_..."
    headers = {"WWW-Authenticate": "Bearer"}


class MissingScope(BillingError):
    """Raised when a key is valid but lacks the scope of the endpoint, which it names."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(f"API key does not have '{scope}' scope")


class SessionRequired(BillingError):
    """Raised when keys are managed by anything but a browser's session: no key may mint a lasting key."""

    status = 401
    sentence = "Sign in to manage API keys"


class KeyLimitReached(BillingError):
    """Raised when a plan has no room for another active key."""

    status = 403

    def __init__(self, limit: int) -> None:
        keys = "1 active API key" if limit == 1 else f"{limit} active API keys"
        super().__init__(f"Your plan allows {keys}. Revoke one, or change your plan")


class UnknownApiKey(BillingError):
    """Raised when a key does not exist, belongs to another user, or is revoked already."""

    status = 404
    sentence = "API key not found"


class IssuerOutOfReach(TryAgainLater):
    """Raised when no key of the SSO issuer is available. The token may be valid, so this is no 401."""

    sentence = "Access tokens cannot be checked right now; please try again."
    headers = {"Retry-After": "5"}


class ForeignSubject(BillingError):
    """Raised when the issuer's subject cannot be a Misar user here: a member of staff, or no id at all."""

    status = 403
    sentence = "This Misar account cannot sign in here"


class PlanThere(Conflict):
    """Raised when a plan is added under the name of another one."""
