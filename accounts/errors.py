"""What can be wrong with whoever asks."""

from misar_billing.errors import BillingError, TryAgainLater


class NoCredentials(BillingError):
    """Raised when an endpoint that answers to a user or a product is asked by nobody."""

    status = 401
    sentence = "Send an SSO access token as Authorization: Bearer, or a service key"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class InvalidToken(BillingError):
    """Raised when a bearer token is not one of ours, or not valid now. It never says which."""

    status = 401
    sentence = "Invalid or expired access token"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class NoServiceKey(BillingError):
    """Raised when an endpoint for products alone is asked without a service key."""

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


class IssuerOutOfReach(TryAgainLater):
    """Raised when no key of the SSO issuer is to be had: the token may well be good, so this is no 401."""

    def __init__(self) -> None:
        super().__init__(
            "Access tokens cannot be checked right now; please try again.", retry_after_seconds=5
        )
