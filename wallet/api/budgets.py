"""The endpoint of budgets: `/io/wallet/budgets` (contract 45)."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.api.schema import REQUEST_ID, RETRY_AFTER
from foundation.http.views import no_store
from wallet.api import budget_serializers as serializers
from wallet.api import queries, schema, throttles
from wallet.api.resources import ResourceViewSet, service_of
from wallet.api.schema import errors
from wallet.api.serializers import CodedError
from wallet.charges import budgets
from wallet.charges.models import Budget

PERIOD = OpenApiParameter(
    "period",
    OpenApiTypes.STR,
    enum=Budget.Period.values,
    required=True,
    description="The period of the budget to remove.",
)
USER_ID = OpenApiParameter(
    "user_id",
    schema.USER_ID.type,
    required=True,
    description="The user's Misar ID.",
)
SET_BY_PRODUCT = Budget.SetBy.PRODUCT


@extend_schema(parameters=[REQUEST_ID, RETRY_AFTER])
class BudgetViewSet(ResourceViewSet):
    """The most that a product lets itself charge a user. Users set their own budgets on the wallet page."""

    rights = {"list": "read", "update": "charge", "destroy": "charge"}

    def get_throttles(self) -> list[BaseThrottle]:
        return [throttles.BudgetReads() if self.is_reading else throttles.Writes()]

    @extend_schema(
        operation_id="wallet_budget_set",
        summary="Set a budget",
        tags=["Budgets"],
        request=serializers.BudgetRequest,
        responses={200: serializers.BudgetRow}
        | errors(
            *(403, 409, 413, 415, 429),
            shape=CodedError,
            meanings={409: "`too_many`: the user has 50 budgets."},
        ),
    )
    def update(self, request: Request) -> HttpResponse:
        """Set the most that your product may charge a user in a UTC day or month: protection against a
        loop, or a plan that includes so much.

        Charges and open holds count from the beginning of the running period, less what was given back. Set
        the budget again to change it. Users set budgets of their own on the wallet page; a charge must keep
        all of them.

        No key is needed: the user and the period are one. The service key needs the right `charge`.
        Refunds, grants and changes of budgets together are limited to 600 a minute for your product.
        """
        requested = self.parsed(serializers.BudgetRequest)
        product = service_of(request).product
        budget = budgets.set_budget(set_by=SET_BY_PRODUCT, product=product, **requested)
        return no_store(serializers.BudgetRow(budget).data)

    @extend_schema(
        operation_id="wallet_budget_remove",
        summary="Remove a budget",
        tags=["Budgets"],
        parameters=[USER_ID, PERIOD],
        responses={200: serializers.Deleted} | errors(403, 429, shape=CodedError),
    )
    def destroy(self, request: Request) -> HttpResponse:
        """Remove your product's own budget of a user for a period. If there is none, the answer is the
        same.

        The service key needs the right `charge`. It counts with refunds, grants and changes of budgets:
        together 600 a minute for your product.
        """
        user_id = queries.wallet_owner(request)
        period = queries.choice(request, "period", Budget.Period.values)
        if not period:
            raise queries.BadQuery("period is required")
        product = service_of(request).product
        budgets.remove_budget(user_id=user_id, set_by=SET_BY_PRODUCT, product=product, period=period)
        return no_store({"deleted": True})

    @extend_schema(
        operation_id="wallet_budgets",
        summary="List budgets",
        tags=["Budgets"],
        parameters=[schema.USER_ID],
        responses={200: serializers.BudgetsPage} | errors(401, 403, 429, shape=CodedError),
    )
    def list(self, request: Request) -> HttpResponse:
        """List a user's budgets, all on one page. A product sees those that can refuse its charges, a user
        with an access token all of theirs.

        A product needs the right `read`. A caller may send 200 of these a minute for one user.
        """
        found = budgets.budgets_of(queries.wallet_owner(request), queries.own_product(request))
        return no_store({"items": serializers.BudgetRow(found, many=True).data, "nextCursor": None})
