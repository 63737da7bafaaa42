"""The base class of all errors that this service expects, and the errors that several apps share."""

from collections.abc import Mapping
from typing import ClassVar


class BillingError(Exception):
    """An expected error: an invalid request, a missing permission, an unavailable dependency.

    `str()` returns a sentence that may be shown to the caller. Only the HTTP code reads `status`, `code`,
    `headers` and `facts`; the domain functions do not use them. `code` names the error for programs
    (contract 27); "" means the usual code of its status. `facts` are further fields of the answer.
    """

    status: ClassVar[int] = 400
    code: str = ""
    facts: Mapping[str, int] = {}
    sentence: ClassVar[str] = "The request cannot be served."
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.sentence)


class Conflict(BillingError):
    """Raised when a request conflicts with what is recorded."""

    status = 409


class KeyReused(Conflict):
    """Raised when an idempotency key or a form key was used before, for a different request."""

    code = "key_reused"
    sentence = "This form was used already, with other content; open it again"


class InvalidCursor(BillingError):
    """Raised when a cursor is malformed or belongs to another list."""

    sentence = "Invalid cursor"


class TryAgainLater(BillingError):
    """Raised when a dependency of this service is unavailable. As far as we know, nothing was changed."""

    status = 503
    sentence = "The service cannot answer right now; please try again."
    headers = {"Retry-After": "1"}


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if there is no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
