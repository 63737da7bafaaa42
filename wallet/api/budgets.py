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

PERIOD = OpenApiParameter("period", OpenApiTypes.STR, enum=Budget.Period.values, required=True)
SET_BY_PRODUCT = Budget.SetBy.PRODUCT


@extend_schema(tags=["Universal Wallet"], parameters=[REQUEST_ID, RETRY_AFTER])
class BudgetViewSet(ResourceViewSet):
    """The most that a product lets itself charge a user. Users set their own budgets on the wallet page."""

    rights = {"list": "read", "update": "charge", "destroy": "charge"}

    def get_throttles(self) -> list[BaseThrottle]:
        return [throttles.BudgetReads() if self.is_reading else throttles.Writes()]

    @extend_schema(
        operation_id="wallet_budget_set",
        request=serializers.BudgetRequest,
        responses={200: serializers.BudgetRow}
        | errors(
            *(403, 409, 413, 415, 429),
            shape=CodedError,
            meanings={409: "`too_many`: the user has 50 budgets."},
        ),
    )
    def update(self, request: Request) -> HttpResponse:
        """Set the product's own budget for a user. It counts what was spent since the period began."""
        requested = self.parsed(serializers.BudgetRequest)
        product = service_of(request).product
        budget = budgets.set_budget(set_by=SET_BY_PRODUCT, product=product, **requested)
        return no_store(serializers.BudgetRow(budget).data)

    @extend_schema(
        operation_id="wallet_budget_remove",
        parameters=[schema.USER_ID, PERIOD],
        responses={200: serializers.Deleted} | errors(403, 429, shape=CodedError),
    )
    def destroy(self, request: Request) -> HttpResponse:
        """Remove the product's own budget for a user. If it is gone already, the answer is the same."""
        user_id = queries.wallet_owner(request)
        period = queries.choice(request, "period", Budget.Period.values)
        if not period:
            raise queries.BadQuery("period is required")
        product = service_of(request).product
        budgets.remove_budget(user_id=user_id, set_by=SET_BY_PRODUCT, product=product, period=period)
        return no_store({"deleted": True})

    @extend_schema(
        operation_id="wallet_budgets",
        parameters=[schema.USER_ID],
        responses={200: serializers.BudgetsPage} | errors(401, 403, 429, shape=CodedError),
    )
    def list(self, request: Request) -> HttpResponse:
        """Read a user's budgets: a product those that can refuse its charges, a user all of theirs."""
        found = budgets.budgets_of(queries.wallet_owner(request), queries.own_product(request))
        return no_store({"items": serializers.BudgetRow(found, many=True).data, "nextCursor": None})
