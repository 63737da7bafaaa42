"""The base of every failure this service expects, and the failures that several apps share."""

from collections.abc import Mapping
from typing import ClassVar


class BillingError(Exception):
    """A named fact that stops a verb: a wrong request, a missing right, a dependency out of reach.

    `str()` of it is a sentence fit for the caller. The HTTP edge reads `status` and `headers`;
    inside the domain they mean nothing.
    """

    status: ClassVar[int] = 400
    sentence: ClassVar[str] = "The request cannot be served."
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.sentence)


class Conflict(BillingError):
    """Raised when a request does not fit what is recorded."""

    status = 409


class KeyReused(Conflict):
    """Raised when an idempotency key, or the key of a form, was used before and this request does not fit."""

    sentence = "This form was used already, with other content; open it again"


class InvalidCursor(BillingError):
    """Raised when a cursor is malformed or belongs to another list."""

    sentence = "Invalid cursor"


class TryAgainLater(BillingError):
    """Raised when a dependency of this service is out of reach. As far as we know, nothing has moved."""

    status = 503
    sentence = "The service cannot answer right now; please try again."
    headers = {"Retry-After": "1"}


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
