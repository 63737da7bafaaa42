"""The endpoints of holds: `/io/wallet/holds` and what is under it (contract 38 to 41)."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.api.schema import REQUEST_ID, RETRY_AFTER
from foundation.http.views import no_store, shown
from wallet.api import outcomes, queries, schema, serializers, throttles
from wallet.api.answers import replayable
from wallet.api.resources import ResourceViewSet, known_id, service_of
from wallet.api.schema import errors
from wallet.books.models import Entry
from wallet.charges import holds
from wallet.charges.holds import NO_HOLD, Outcome
from wallet.charges.models import Hold
from wallet.errors import InsufficientCredits

HOLD_ID = OpenApiParameter(
    "hold_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The `holdId` of the first answer."
)
STATE = OpenApiParameter(
    "state", OpenApiTypes.STR, enum=Hold.State.values, description="Only holds in this state."
)
NOT_THEIRS = {404: "This product and user have no such hold."}


def _errors_of_a_verb(conflicts: str) -> dict[int, Any]:
    """Return the schema of the error answers of a verb on a hold. `conflicts` says what 409 means."""
    meanings = NOT_THEIRS | {409: conflicts}
    return errors(403, 409, 413, 415, shape=serializers.CodedError, meanings=meanings)


@extend_schema(parameters=[REQUEST_ID, RETRY_AFTER])
class HoldViewSet(ResourceViewSet):
    """Credits that a product sets aside before its work begins, and charges when the work is done."""

    lookup_field = "hold_id"
    rights = {
        "list": "read",
        "retrieve": "read",
        "create": "charge",
        "capture": "charge",
        "void": "charge",
        "extend": "charge",
    }

    def get_throttles(self) -> list[BaseThrottle]:
        """Captures, voids and extensions are not limited: refusing them would lose money."""
        if self.is_reading:
            return [throttles.HoldReads()]
        return [throttles.Charges()] if self.action == "create" else []

    @extend_schema(
        operation_id="wallet_hold",
        summary="Make a hold",
        tags=["Holds"],
        request=serializers.HoldRequest,
        parameters=[schema.REPLAYED],
        responses={
            200: PolymorphicProxySerializer(
                component_name="Authorization",
                serializers=[serializers.HoldMade, serializers.DeductionDenied],
                resource_type_field_name=None,
            )
        }
        | errors(
            *(403, 409, 413, 415, 429),
            shape=serializers.DecisionError,
            meanings={409: "`key_reused`, `key_ended`, or `too_many`: 200 open holds of a product and user."},
        ),
    )
    def create(self, request: Request) -> HttpResponse:
        """Set credits aside before work begins whose size you don't know yet, and charge for it when it is
        done.

        Ask for the most units that the work can need. If `allowed` is true, the credits are set aside and
        nothing was charged; capture the hold when the work is done, or void it. If it is false, nothing was
        set aside. A hold ends by itself after `ttl_seconds`, and its price stays that of the moment at
        which it was made.

        The `idempotency_key` is required. The same key with the same feature and count answers the first
        answer again. The key of a hold that was voided or has expired can't be used again.

        The service key needs the right `charge`, and its features must include this one. A user may have
        200 open holds of one product and 1,000 in all. Holds have no rate limit unless the operator set one
        for charges.
        """
        requested = self.parsed(serializers.HoldRequest)
        try:
            outcome = holds.authorize(
                service=service_of(request),
                user_id=requested["user_id"],
                feature=requested["feature"],
                count=requested["count"],
                ttl_seconds=requested["ttl_seconds"],
                key=requested["idempotency_key"],
            )
        except InsufficientCredits as denied:
            outcomes.note(request, denied)
            return no_store(shown(serializers.DeductionDenied, denied))
        outcomes.note(request, outcome)
        return replayable(shown(serializers.HoldMade, outcome.hold), replayed=outcome.replayed)

    @extend_schema(
        operation_id="wallet_holds",
        summary="List holds",
        tags=["Holds"],
        parameters=[schema.USER_ID, STATE, schema.LIMIT, schema.CURSOR],
        responses={200: serializers.HoldsPage} | errors(401, 403, 429, shape=serializers.CodedError),
    )
    def list(self, request: Request) -> HttpResponse:
        """List a user's holds, newest first. A product sees its own, a user with an access token those of
        every product.

        A product needs the right `read`. A caller may send 200 of these a minute for one user.
        """
        user_id = queries.wallet_owner(request)
        page = holds.page(
            user_id=user_id,
            product=queries.own_product(request),
            state=queries.choice(request, "state", Hold.State.values),
            limit=queries.page_limit(request),
            cursor=queries.single(request, "cursor"),
        )
        return no_store({"items": _rows(page.holds, user_id), "nextCursor": page.next_cursor})

    @extend_schema(
        operation_id="wallet_hold_read",
        summary="Read a hold",
        tags=["Holds"],
        parameters=[HOLD_ID, schema.USER_ID],
        responses={200: serializers.HoldRow}
        | errors(401, 403, 429, shape=serializers.CodedError, meanings=NOT_THEIRS),
    )
    def retrieve(self, request: Request, hold_id: str) -> HttpResponse:
        """Read one hold. A product can read its own, a user with an access token those of every product in
        their wallet.

        From `expires_at` on, an open hold reads as `expired`. A product needs the right `read`. A caller
        may send 200 reads of holds a minute for one user.
        """
        user_id = queries.wallet_owner(request)
        hold = holds.find(
            user_id=user_id,
            hold_id=known_id(hold_id, otherwise=NO_HOLD),
            product=queries.own_product(request),
        )
        return _answer(Outcome(hold))

    @extend_schema(
        operation_id="wallet_hold_capture",
        summary="Capture a hold",
        tags=["Holds"],
        request=serializers.CaptureRequest,
        parameters=[HOLD_ID, schema.REPLAYED],
        responses={200: serializers.HoldRow}
        | _errors_of_a_verb("`hold_captured` with another count, `hold_voided` or `hold_expired`."),
    )
    @action(methods=["post"], detail=True)
    def capture(self, request: Request, hold_id: str) -> HttpResponse:
        """Charge for the units of a hold that were needed, and release the rest in the same moment.

        Before its end, a capture always succeeds, even if the user has no credits left by then. From
        `expires_at` on it is 409 `hold_expired` and moves nothing. A hold is captured once. The same
        `count` again answers the first answer again; another one is 409 `hold_captured`. So after a 503,
        send the same request again: the hold's id is its key.

        The service key needs the right `charge`. Captures are never limited.
        """
        requested = self.parsed(serializers.CaptureRequest)
        outcome = holds.capture(
            service=service_of(request),
            user_id=requested["user_id"],
            hold_id=known_id(hold_id, otherwise=NO_HOLD),
            count=requested.get("count"),
        )
        return _answer(outcome)

    @extend_schema(
        operation_id="wallet_hold_void",
        summary="Void a hold",
        tags=["Holds"],
        request=serializers.VoidRequest,
        parameters=[HOLD_ID, schema.REPLAYED],
        responses={200: serializers.HoldRow} | _errors_of_a_verb("`hold_captured`."),
    )
    @action(methods=["post"], detail=True)
    def void(self, request: Request, hold_id: str) -> HttpResponse:
        """Release all that a hold has set aside, and charge nothing. Void a hold as soon as you know that
        the work won't be done.

        Asking twice is asking once. A hold that has expired stays `expired`, which frees the credits as
        well.

        The service key needs the right `charge`. Voids are never limited.
        """
        requested = self.parsed(serializers.VoidRequest)
        outcome = holds.void(
            user_id=requested["user_id"],
            hold_id=known_id(hold_id, otherwise=NO_HOLD),
            product=service_of(request).product,
        )
        return _answer(outcome)

    @extend_schema(
        operation_id="wallet_hold_extend",
        summary="Extend a hold",
        tags=["Holds"],
        request=serializers.ExtendRequest,
        parameters=[HOLD_ID],
        responses={200: serializers.HoldRow}
        | _errors_of_a_verb("`hold_captured`, `hold_voided`, `hold_expired` or `hold_too_old`."),
    )
    @action(methods=["post"], detail=True)
    def extend(self, request: Request, hold_id: str) -> HttpResponse:
        """Let an open hold last longer, for work that is not done yet. The end moves to now plus
        `ttl_seconds`, unless the old end is later. It can't be later than 7 days after the hold was made.

        Asking twice is harmless. The service key needs the right `charge`. Extensions are never limited.
        """
        requested = self.parsed(serializers.ExtendRequest)
        outcome = holds.extend(
            service=service_of(request),
            user_id=requested["user_id"],
            hold_id=known_id(hold_id, otherwise=NO_HOLD),
            ttl_seconds=requested["ttl_seconds"],
        )
        return _answer(outcome)


def _answer(outcome: Outcome) -> HttpResponse:
    (row,) = _rows([outcome.hold], outcome.hold.wallet_id)
    return replayable(row, replayed=outcome.replayed)


def _rows(holds_shown: list[Hold], user_id: str) -> list[dict[str, Any]]:
    """Return the JSON of some holds of one user."""
    captured = [hold.pk for hold in holds_shown if hold.state == Hold.State.CAPTURED]
    charges = Entry.objects.filter(wallet_id=user_id, hold_id__in=captured) if captured else ()
    charge_ids = {entry.hold_id: entry.pk for entry in charges}
    return list(serializers.HoldRow(holds_shown, many=True, context={"charge_ids": charge_ids}).data)
