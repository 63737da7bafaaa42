"""The endpoint for many charges in one request: `/io/wallet/deduct/batch` (contract 57)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.serializers import ValidationError

from accounts.api.schema import REQUEST_ID, RETRY_AFTER
from accounts.authentication import ServiceKeyAuthentication
from accounts.permissions import IsService
from foundation import deadlines
from foundation.errors import TryAgainLater
from foundation.http.envelope import BEYOND_REACH, flattened, refusal_of
from foundation.http.strict_json import StrictJSONParser
from foundation.http.views import JSONViewSet, no_store
from wallet.api import throttles
from wallet.api.batch_serializers import BatchAnswer, BatchRequest, DeductItem, item_of
from wallet.api.envelope import sentence_of
from wallet.api.outcomes import note
from wallet.api.resources import service_of
from wallet.api.schema import errors
from wallet.api.serializers import DecisionError, DeductionDenied
from wallet.charges import batches
from wallet.charges.batches import Item, Outcome
from wallet.charges.deductions import Charge
from wallet.errors import InsufficientCredits

BATCH_BYTES_MAX = 1024 * 1024


class BatchParser(StrictJSONParser):
    """Reads bodies that are as large as a batch may be."""

    limit_bytes = BATCH_BYTES_MAX


class TooManyBatches(TryAgainLater):
    """Raised when as many batches are served at once as this process serves. Single charges go on."""

    sentence = "Too many batches are being charged right now; please try again."


@extend_schema(parameters=[REQUEST_ID, RETRY_AFTER])
class BatchViewSet(JSONViewSet):
    """Many charges in one request, of one user or of many users."""

    rights = {"create": "charge"}
    authentication_classes = [ServiceKeyAuthentication]
    permission_classes = [IsService]
    throttle_classes = [throttles.Charges]
    parser_classes = (BatchParser,)

    @extend_schema(
        operation_id="wallet_deduct_batch",
        summary="Charge in a batch",
        tags=["Charges"],
        request=BatchRequest,
        responses={200: BatchAnswer} | errors(403, 413, 415, 429, shape=DecisionError),
    )
    def create(self, request: Request) -> HttpResponse:
        """Make up to 500 charges in one request, of one user or of many. Each is judged by itself, as a
        single charge would be, and `results` has the answer to each in the order of `items`.

        A batch is not atomic: some charges may be made and others not. Each item needs an
        `idempotency_key`; keys are those of a single charge. An item with status 503 is not known to be
        charged. Send it again, with its key; the whole batch can be sent again too.

        The service key needs the right `charge`. The body may have 1 MiB. A batch takes at most 8 seconds;
        what was not begun by then has status 503. It counts as one request.
        """
        sent = self.parsed(BatchRequest)["items"]  # A body that arrives slowly occupies no place.
        with _place(), deadlines.within(batches.SECONDS_MAX):
            return no_store({"results": _results(request, sent)})


@contextmanager
def _place() -> Iterator[None]:
    """Take one of the places for batches. Raises TooManyBatches if all are taken."""
    if not _places().acquire(blocking=False):
        raise TooManyBatches
    try:
        yield
    finally:
        _places().release()


@cache
def _places() -> threading.BoundedSemaphore:
    """Return the places of this process: a quarter of its threads, so that single charges have the others."""
    return threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 4))


def _results(request: Request, sent: list[Any]) -> list[dict[str, Any]]:
    """Charge the items that were sent, and return the answer to each, in their order.

    Raises TryAgainLater if there were charges and the outcome of none is known.
    """
    reader = DeductItem()
    read: list[Item | ValidationError] = []
    for data in sent:
        try:
            read.append(item_of(data, reader))
        except ValidationError as error:
            read.append(error)
    items = [each for each in read if isinstance(each, Item)]
    outcomes = batches.deduct_all(service=service_of(request), items=items)
    if outcomes and all(outcome is None for outcome in outcomes):
        raise TryAgainLater(BEYOND_REACH)
    made = iter(outcomes)
    all_outcomes = [next(made) if isinstance(each, Item) else each for each in read]
    note(request, *all_outcomes)
    return [_result(outcome) for outcome in all_outcomes]


def _result(outcome: Outcome | ValidationError) -> dict[str, Any]:
    """Return an item's answer: the status, and then what the single charge answers."""
    match outcome:
        case Charge(entry=entry, replayed=replayed):
            return {
                "status": 200,
                **({"replayed": True} if replayed else {}),
                "allowed": True,
                "balanceBefore": entry.available_before,
                "balanceAfter": entry.available_after,
                "deducted": entry.charged,
            }
        case InsufficientCredits():
            return {"status": 200, **DeductionDenied(outcome).data}
        case ValidationError():
            return {"status": 400, "allowed": False, "error": sentence_of(flattened(outcome.detail))}
    status, sentence = refusal_of(outcome or TryAgainLater(BEYOND_REACH))
    return {"status": status, "allowed": False, "error": sentence}
