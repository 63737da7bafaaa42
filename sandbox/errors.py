"""Stripe's errors, in Stripe's form."""

from typing import Any, ClassVar


class StripeError(Exception):
    """The base of Stripe's errors: an HTTP status and the body `{"error": {...}}`.

    `executed` says whether the call had started: only then is the error stored under its idempotency key.
    """

    status: int = 400
    kind: str = "invalid_request_error"
    executed: bool = False

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param

    def body(self) -> dict[str, Any]:
        """The body, without empty fields."""
        facts = {"type": self.kind, "message": str(self), "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in facts.items() if value is not None}}


class InvalidParameter(StripeError):
    """Raised when a parameter is unknown, missing or malformed, before the call starts."""


class Refused(StripeError):
    """Raised when a well-formed call is not possible in the present state."""

    executed = True


class NoSuchObject(StripeError):
    """Raised when there is no object with this id."""

    status = 404

    def __init__(self, noun: str, object_id: str, *, param: str = "id") -> None:
        super().__init__(f"No such {noun}: '{object_id}'", code="resource_missing", param=param)


class UnknownAddress(StripeError):
    """Raised when the API has no such path or method."""

    status = 404


class Unauthenticated(StripeError):
    """Raised when the API key is missing or not the sandbox's."""

    status = 401


class KeyReused(StripeError):
    """Raised when an idempotency key is sent again with other parameters."""

    kind = "idempotency_error"


class KeyInUse(StripeError):
    """Raised when an idempotency key is sent again while its first call is still running."""

    status = 409
    kind = "idempotency_error"


class Outage(StripeError):
    """Raised when the sandbox is set to fail every call."""

    KINDS: ClassVar[dict[int, str]] = {
        401: "invalid_request_error",
        402: "card_error",
        429: "invalid_request_error",
    }

    def __init__(self, status: int) -> None:
        super().__init__(
            "The sandbox was told to fail this call.", code="rate_limit" if status == 429 else None
        )
        self.status = status
        self.kind = self.KINDS.get(status, "api_error")
        # Stripe's own failures happen after the call has started and are replayed; refusals happen before.
        self.executed = status >= 500
