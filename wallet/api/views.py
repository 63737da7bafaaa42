"""The endpoints of the Universal Wallet, without those of holds.

Each reads the request, calls one function and answers.
"""

from functools import partial
from typing import Any

from django.db import DatabaseError
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schema import REQUEST_ID, RETRY_AFTER
from accounts.authentication import BearerAuthentication, ServiceKeyAuthentication
from accounts.models import ServiceKey
from accounts.permissions import IsService, IsServiceOrBearer
from foundation.database import standby
from foundation.database.transactions import is_out_of_reach
from foundation.errors import BillingError
from foundation.http.strict_json import read_body
from foundation.http.views import JSONViewSet, no_store, shown
from wallet.api import outcomes, queries, schema, serializers, throttles
from wallet.api.answers import replayable
from wallet.api.resources import service_of
from wallet.api.schema import errors
from wallet.books.funds import available_of, funds_of
from wallet.charges import gathering, give_backs, quotes
from wallet.errors import InsufficientCredits
from wallet.history import statements
from wallet.payments import checkout, inbox
from wallet.prices.models import Rate

WEBHOOK_BYTES_MAX = 1024 * 1024

SELF_OR_SERVICE: dict[str, Any] = {
    "authentication_classes": [ServiceKeyAuthentication, BearerAuthentication],
    "permission_classes": [IsServiceOrBearer],
}
SERVICE_ONLY: dict[str, Any] = {
    "authentication_classes": [ServiceKeyAuthentication],
    "permission_classes": [IsService],
}
CHARGING: dict[str, Any] = SERVICE_ONLY | {
    "authentication_classes": [partial(ServiceKeyAuthentication, remembered=True)]
}
DEDUCTION = PolymorphicProxySerializer(
    component_name="Deduction",
    serializers=[serializers.DeductionAllowed, serializers.DeductionDenied],
    resource_type_field_name=None,
)


@extend_schema(tags=["Universal Wallet"], parameters=[REQUEST_ID, RETRY_AFTER])
class WalletViewSet(JSONViewSet):
    """Each user has one balance of credits. All products use the same balance."""

    rights = {
        "balance": "read",
        "funds": "read",
        "transactions": "read",
        "deduct": "charge",
        "quote": "charge",
        "refund": "refund",
        "topup_session": "topup",
    }

    has_remembered_key = False

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        self.has_remembered_key = isinstance(request.auth, ServiceKey) and request.auth.is_remembered

    def handle_exception(self, error: Exception) -> Any:
        """Answer an error. If the key was remembered, it is looked up first: it may do less by now."""
        if self.has_remembered_key and not is_out_of_reach(error):
            try:
                _, self.request.auth = ServiceKeyAuthentication().authenticate(self.request) or (None, None)
                self.check_permissions(self.request)
            except (BillingError, DatabaseError) as refused:
                error = refused
        return super().handle_exception(error)

    @extend_schema(
        operation_id="wallet_balance",
        parameters=[schema.USER_ID],
        responses={200: serializers.Balance} | errors(401, 403, 429),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.BalanceReads], **SELF_OR_SERVICE)
    def balance(self, request: Request) -> HttpResponse:
        """Read a user's balance. An unknown user has 0 credits."""
        return no_store({"credits": available_of(queries.wallet_owner(request))})

    @extend_schema(
        operation_id="wallet_funds",
        parameters=[schema.USER_ID, schema.AT],
        responses={200: serializers.Funds} | errors(401, 403, 429, shape=serializers.CodedError),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.FundsReads], **SELF_OR_SERVICE)
    def funds(self, request: Request) -> HttpResponse:
        """Read what a user has now, or had at a past time. An unknown user has zeros."""
        user_id = queries.wallet_owner(request)
        at, is_whole_second = queries.moment(request, "at")
        funds = funds_of(user_id, at, whole_second=is_whole_second)
        return no_store(serializers.Funds(funds, context={"product": queries.own_product(request)}).data)

    @extend_schema(
        operation_id="wallet_deduct",
        request=serializers.DeductRequest,
        parameters=[schema.REPLAYED],
        responses={200: DEDUCTION} | errors(403, 409, 413, 415, 429, shape=serializers.DeductError),
    )
    @action(methods=["post"], detail=False, throttle_classes=[throttles.Charges], **CHARGING)
    def deduct(self, request: Request) -> HttpResponse:
        """Charge a user for a feature. If the user has too few credits, return 200 with `allowed: false`."""
        requested = self.parsed(serializers.DeductRequest)
        try:
            charge = gathering.deduct(
                service=service_of(request),
                user_id=requested["user_id"],
                feature=requested["feature"],
                count=requested["count"],
                key=requested.get("idempotency_key", ""),
            )
        except InsufficientCredits as denied:
            outcomes.note(request, denied)
            return no_store(shown(serializers.DeductionDenied, denied))
        outcomes.note(request, charge)
        return replayable(shown(serializers.DeductionAllowed, charge.entry), replayed=charge.replayed)

    @extend_schema(
        operation_id="wallet_quote",
        request=serializers.QuoteRequest,
        responses={200: DEDUCTION} | errors(403, 413, 415, 429, shape=serializers.CodedError),
    )
    @action(methods=["post"], detail=False, throttle_classes=[throttles.Charges], **SERVICE_ONLY)
    def quote(self, request: Request) -> HttpResponse:
        """Ask what a charge would answer now. Nothing is charged or set aside, and nothing is promised."""
        requested = self.parsed(serializers.QuoteRequest)
        try:
            quoted = quotes.quote(service=service_of(request), **requested)
        except InsufficientCredits as denied:
            return no_store(shown(serializers.DeductionDenied, denied))
        return no_store(shown(serializers.DeductionAllowed, quoted))

    @extend_schema(
        operation_id="wallet_refund",
        request=serializers.RefundRequest,
        parameters=[schema.REPLAYED],
        responses={200: serializers.Refunded}
        | errors(
            *(403, 409, 413, 415, 429),
            shape=serializers.RefundError,
            meanings={
                404: "This product and user have no such charge.",
                409: "`nothing_left`, or `key_reused`: the key came with another charge or other credits.",
            },
        ),
    )
    @action(methods=["post"], detail=False, throttle_classes=[throttles.Writes], **SERVICE_ONLY)
    def refund(self, request: Request) -> HttpResponse:
        """Give back a charge of this product, or a part of it; at most the charge, all refunds together."""
        requested = self.parsed(serializers.RefundRequest)
        selectors = serializers.RefundRequest.SELECTORS
        refund = give_backs.refund(
            service=service_of(request),
            user_id=requested["user_id"],
            charge={field: requested[name] for name, field in selectors.items() if name in requested},
            credits=requested.get("credits"),
            reason=requested["reason"],
            key=requested["idempotency_key"],
        )
        return replayable(serializers.Refunded(refund.answer).data, replayed=refund.replayed)

    @extend_schema(
        operation_id="wallet_topup_session",
        request=serializers.TopUpRequest,
        responses={200: serializers.TopUpSession} | errors(403, 413, 415),
    )
    @action(methods=["post"], detail=False, url_path="topup-session", **SERVICE_ONLY)
    def topup_session(self, request: Request) -> HttpResponse:
        """Open a Stripe Checkout for whole dollars. Credits are added when Stripe confirms the payment."""
        requested = self.parsed(serializers.TopUpRequest)
        url = checkout.start(
            user_id=requested["user_id"],
            amount_dollars=requested["amountDollars"],
            product=requested["product"],
            return_url=requested["returnUrl"],
        )
        return no_store({"url": url})

    @extend_schema(
        operation_id="wallet_transactions",
        parameters=[schema.USER_ID, schema.LIMIT, schema.CURSOR],
        responses={200: serializers.TransactionsPage} | errors(401, 403, 429),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.TransactionReads], **SELF_OR_SERVICE)
    @standby.may_answer
    def transactions(self, request: Request) -> HttpResponse:
        """Read a user's transactions, newest first."""
        page = statements.page(
            user_id=queries.wallet_owner(request),
            limit=queries.page_limit(request),
            cursor=queries.single(request, "cursor"),
        )
        return no_store(serializers.TransactionsPage(page).data)

    @extend_schema(operation_id="wallet_rates", auth=[], responses={200: serializers.RateTable} | errors())
    @action(methods=["get"], detail=False)
    def rates(self, request: Request) -> HttpResponse:
        """Read the public rate table."""
        table = serializers.RateTable({"rates": Rate.objects.active()}).data
        return Response(table, headers={"Cache-Control": "public, max-age=60"})

    @extend_schema(
        operation_id="wallet_webhook",
        auth=[],
        request=OpenApiTypes.OBJECT,
        parameters=[schema.STRIPE_SIGNATURE],
        responses={200: serializers.Received} | errors(413),
    )
    @action(methods=["post"], detail=False)
    def webhook(self, request: Request) -> HttpResponse:
        """Receive an event from Stripe. An event without a valid signature of Stripe is refused."""
        body = read_body(request._request, limit_bytes=WEBHOOK_BYTES_MAX)
        inbox.receive(body, request.headers.get("Stripe-Signature", ""))
        return no_store({"received": True})

    @property
    def reads_json(self) -> bool:  # type: ignore[override]
        """Whether the body must have a JSON media type. The webhook's body is signed bytes of any type."""
        return self.action != "webhook"
