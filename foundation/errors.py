"""The base of every failure this service expects."""

from typing import ClassVar


class BillingError(Exception):
    """A named fact that stops a verb: a wrong request, a missing right, a part of the world out of reach.

    `str()` of it is a sentence fit for the caller. The HTTP edge reads `status` and `headers`;
    inside the domain they mean nothing.
    """

    status: ClassVar[int] = 400
    sentence: ClassVar[str] = "The request cannot be served."

    def __init__(self, sentence: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence or self.sentence)
        self.headers = headers or {}


class TryAgainLater(BillingError):
    """Raised when something this service stands on is out of reach: nothing is known to have moved."""

    status = 503
    sentence = "The service cannot answer right now; please try again."

    def __init__(self, sentence: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(sentence, headers={"Retry-After": str(retry_after_seconds)})
