"""The endpoints of grants: `/io/wallet/grants` and what is under it (contract 42 to 44)."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.api.schema import REQUEST_ID, RETRY_AFTER
from foundation.http.views import no_store
from wallet.api import grant_serializers as serializers
from wallet.api import queries, schema, throttles
from wallet.api.answers import replayable
from wallet.api.resources import ResourceViewSet, known_id, service_of
from wallet.api.schema import errors
from wallet.api.serializers import CodedError
from wallet.charges.models import Lot
from wallet.grants import granting
from wallet.grants.granting import NO_GRANT

GRANT_ID = OpenApiParameter(
    "grant_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The `id` of the grant."
)
STATE = OpenApiParameter(
    "state", OpenApiTypes.STR, enum=Lot.State.values, description="Only grants in this state."
)


@extend_schema(parameters=[REQUEST_ID, RETRY_AFTER])
class GrantViewSet(ResourceViewSet):
    """Credits with an end, which products give to users."""

    lookup_field = "grant_id"
    rights = {"list": "read", "create": "grant", "void": "grant"}

    def get_throttles(self) -> list[BaseThrottle]:
        return [throttles.GrantReads() if self.is_reading else throttles.Writes()]

    @extend_schema(
        operation_id="wallet_grant",
        summary="Grant credits",
        tags=["Grants"],
        request=serializers.GrantRequest,
        parameters=[schema.REPLAYED],
        responses={200: serializers.GrantRow}
        | errors(
            *(403, 409, 413, 415, 429),
            shape=serializers.GrantError,
            meanings={
                409: "`over_cap`; `too_many`: 20 grants of a product and user with credits left, 100 of a "
                "user; `key_reused` for another grant; `key_ended` after a void."
            },
        ),
    )
    def create(self, request: Request) -> HttpResponse:
        """Give a user credits with an end: a welcome gift, an apology, a campaign.

        They are part of the user's balance and pay first, the soonest end first. What is left of them at
        the end is gone, but what an open hold has set aside by then can still be captured. A user without a
        wallet gets one.

        The `idempotency_key` is required. The same key with the same credits and end answers the first
        answer again, so compute the end once and keep it for the retry.

        The service key needs the right `grant` and has two caps: the most of one grant, and the most that
        your product may grant in a UTC month, voided grants included. A user may have 20 grants of one
        product with credits left, and 100 in all. Refunds, grants and changes of budgets together are
        limited to 600 a minute for your product.
        """
        requested = self.parsed(serializers.GrantRequest)
        granted = granting.grant_of_product(
            service=service_of(request),
            user_id=requested["user_id"],
            credits=requested["credits"],
            expires_at=requested["expires_at"],
            reason=requested["reason"],
            key=requested["idempotency_key"],
        )
        return replayable(serializers.GrantRow(granted.lot).data, replayed=granted.replayed)

    @extend_schema(
        operation_id="wallet_grants",
        summary="List grants",
        tags=["Grants"],
        parameters=[schema.USER_ID, STATE, schema.LIMIT, schema.CURSOR],
        responses={200: serializers.GrantsPage} | errors(401, 403, 429, shape=CodedError),
    )
    def list(self, request: Request) -> HttpResponse:
        """List a user's grants, newest first. A product sees its own, a user with an access token those of
        every product and of staff.

        A product needs the right `read`. A caller may send 200 of these a minute for one user.
        """
        page = granting.page(
            user_id=queries.wallet_owner(request),
            product=queries.own_product(request),
            state=queries.choice(request, "state", Lot.State.values),
            limit=queries.page_limit(request),
            cursor=queries.single(request, "cursor"),
        )
        rows = serializers.GrantRow(page.lots, many=True, context={"now": page.now})
        return no_store({"items": rows.data, "nextCursor": page.next_cursor})

    @extend_schema(
        operation_id="wallet_grant_void",
        summary="Void a grant",
        tags=["Grants"],
        request=serializers.VoidGrantRequest,
        parameters=[GRANT_ID, schema.REPLAYED],
        responses={200: serializers.GrantVoided}
        | errors(
            *(403, 413, 415, 429),
            shape=CodedError,
            meanings={404: "This product and user have no such grant."},
        ),
    )
    @action(methods=["post"], detail=True)
    def void(self, request: Request, grant_id: str) -> HttpResponse:
        """Take back a grant that was a mistake: what is free of it ends now. What was spent stays spent,
        and open holds keep what they have set aside.

        Asking twice is asking once. A grant that had ended before stays as it is, and `removed` is 0.

        The service key needs the right `grant`. It counts with refunds, grants and changes of budgets:
        together 600 a minute for your product.
        """
        requested = self.parsed(serializers.VoidGrantRequest)
        voided = granting.void(
            user_id=requested["user_id"],
            grant_id=known_id(grant_id, otherwise=NO_GRANT),
            product=service_of(request).product,
        )
        return replayable(serializers.GrantVoided(voided).data, replayed=voided.replayed)
