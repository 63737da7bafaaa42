"""What Stripe answers when it does not do as asked, in Stripe's own form."""

from typing import Any, ClassVar


class StripeError(Exception):
    """The base of Stripe's refusals: an HTTP status and the body `{"error": {...}}`.

    `executed` says whether the call had begun to run: only then does its idempotency key remember it.
    """

    status: int = 400
    kind: str = "invalid_request_error"
    executed: bool = False

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param

    def body(self) -> dict[str, Any]:
        """The answer, without the fields that say nothing."""
        facts = {"type": self.kind, "message": str(self), "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in facts.items() if value is not None}}


class InvalidParameter(StripeError):
    """Raised when a parameter is unknown, missing or malformed, before anything is done."""


class Refused(StripeError):
    """Raised when the call is well formed and what it asks is not possible now."""

    executed = True


class NoSuchObject(StripeError):
    """Raised when an id names nothing here."""

    status = 404

    def __init__(self, noun: str, object_id: str, *, param: str = "id") -> None:
        super().__init__(f"No such {noun}: '{object_id}'", code="resource_missing", param=param)


class UnknownAddress(StripeError):
    """Raised when the API has no such path or method."""

    status = 404


class Unauthenticated(StripeError):
    """Raised when the key is missing or not the sandbox's."""

    status = 401


class KeyReused(StripeError):
    """Raised when an idempotency key comes back with other parameters."""

    kind = "idempotency_error"


class KeyInUse(StripeError):
    """Raised when an idempotency key comes back while its first call is still running."""

    status = 409
    kind = "idempotency_error"


class Outage(StripeError):
    """Raised for the failure that the sandbox was told to play."""

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
        # Trouble of Stripe's own comes once the call runs, and its key replays it; a refusal comes before.
        self.executed = status >= 500
