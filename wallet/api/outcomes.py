"""What became of the charges of a request, in words for the metrics."""

from collections.abc import Iterable
from http import HTTPStatus

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.serializers import ValidationError

from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError
from foundation.http.envelope import CODE
from wallet.api.codes import USUAL, Code
from wallet.charges import batches, deductions, holds
from wallet.errors import BudgetSpent, InsufficientCredits, WalletFrozen

CHARGES = "misar.charges"  # In `META` of the request, because DRF's request and Django's share it.

# The outcome and its reason, such as ("denied", "budget").
Word = tuple[str, str]
Outcome = batches.Outcome | holds.Outcome | ValidationError


def note(request: Request, *outcomes: Outcome) -> None:
    """Note what became of the charges of this request, or of its hold. An error needs no note."""
    request.META[CHARGES] = [word_of(outcome) for outcome in outcomes]


def noted(request: HttpRequest, status: int) -> Iterable[Word]:
    """Return what became of each charge. A request that ended with an error counts as one."""
    words: Iterable[Word] | None = request.META.get(CHARGES)
    if words is None or status >= HTTPStatus.BAD_REQUEST:
        return [_of_error(status, request.META.get(CODE, ""))]
    return words


def word_of(outcome: Outcome) -> Word:
    match outcome:
        case deductions.Charge() | holds.Outcome():
            return ("replayed" if outcome.replayed else "allowed"), ""
        case BudgetSpent():
            return "denied", "budget"
        case WalletFrozen():
            return "denied", "frozen"
        case InsufficientCredits():
            return "denied", "credits"
        case ValidationError():
            return "refused", Code.INVALID.value
        case BillingError():
            return _of_error(outcome.status, outcome.code)
    is_unknown = outcome is None or is_out_of_reach(outcome)
    return "failed", (Code.TRY_AGAIN if is_unknown else Code.FAILED).value


def _of_error(status: int, code: str) -> Word:
    usual = USUAL.get(HTTPStatus(status), Code.FAILED).value
    return ("refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"), code or usual
