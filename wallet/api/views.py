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


@extend_schema(parameters=[REQUEST_ID, RETRY_AFTER])
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
        summary="Read a balance",
        tags=["Balance"],
        parameters=[schema.USER_ID],
        responses={200: serializers.Balance} | errors(401, 403, 429),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.BalanceReads], **SELF_OR_SERVICE)
    def balance(self, request: Request) -> HttpResponse:
        """Read how many credits a user can spend now: the balance less what open holds have set aside.

        An unknown user has 0 credits, and reading makes no wallet. The figure is negative in a debt, for
        example after a disputed payment. It may be another a moment later, so decide by a charge or a hold,
        and use it for what you show.

        A product needs the right `read` and names the user. A user reads their own balance with their
        access token. A caller may read it 200 times a minute.
        """
        return no_store({"credits": available_of(queries.wallet_owner(request))})

    @extend_schema(
        operation_id="wallet_funds",
        summary="Read all funds",
        tags=["Balance"],
        parameters=[schema.USER_ID, schema.AT],
        responses={200: serializers.Funds} | errors(401, 403, 429, shape=serializers.CodedError),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.FundsReads], **SELF_OR_SERVICE)
    def funds(self, request: Request) -> HttpResponse:
        """Read what a user has now, or had at a past time: balance, held and available credits, what was
        paid for and what was granted, and the grants that have credits left.

        Use it to show when credits end, or to answer a question about the past. Figures of the last seconds
        may still change, because charges that run now are not in them. An unknown user has zeros.

        A product needs the right `read` and names the user. A user reads their own with their access token.
        A caller may send 200 of these a minute for one user.
        """
        user_id = queries.wallet_owner(request)
        at, is_whole_second = queries.moment(request, "at")
        funds = funds_of(user_id, at, whole_second=is_whole_second)
        return no_store(serializers.Funds(funds, context={"product": queries.own_product(request)}).data)

    @extend_schema(
        operation_id="wallet_deduct",
        summary="Charge a user",
        tags=["Charges"],
        request=serializers.DeductRequest,
        parameters=[schema.REPLAYED],
        responses={200: DEDUCTION} | errors(403, 409, 413, 415, 429, shape=serializers.DeductError),
    )
    @action(methods=["post"], detail=False, throttle_classes=[throttles.Charges], **CHARGING)
    def deduct(self, request: Request) -> HttpResponse:
        """Charge a user for the use of a feature, at once. The price is `count` times the feature's rate.

        Read `allowed`. If it is true, the credits were taken. If it is false, nothing was: the user has too
        few credits, a budget has less left, or staff froze the wallet (`limitedBy` says which of these
        two). Do the work only after `allowed: true`. Every error has `allowed: false` as well.

        Send an `idempotency_key` that you make from the work. The same key with the same feature and count
        answers the first answer again, byte for byte, and takes nothing twice. Keys are kept as long as the
        ledger, and belong to one user and one product. A refusal and an error use up no key. After a 503 or
        a lost answer, send the request again with its key.

        The service key needs the right `charge`, and its features must include this one. Charges have no
        rate limit unless the operator set one.
        """
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
        summary="Quote a charge",
        tags=["Charges"],
        request=serializers.QuoteRequest,
        responses={200: DEDUCTION} | errors(403, 413, 415, 429, shape=serializers.CodedError),
    )
    @action(methods=["post"], detail=False, throttle_classes=[throttles.Charges], **SERVICE_ONLY)
    def quote(self, request: Request) -> HttpResponse:
        """Ask what a charge would answer now. Nothing is charged or set aside, and nothing is promised: a
        moment later the answer may be another.

        Use it for what you show. To decide, make the charge or a hold.

        The service key needs the right `charge`. If the operator set a limit for charges, quotes count too.
        """
        requested = self.parsed(serializers.QuoteRequest)
        try:
            quoted = quotes.quote(service=service_of(request), **requested)
        except InsufficientCredits as denied:
            return no_store(shown(serializers.DeductionDenied, denied))
        return no_store(shown(serializers.DeductionAllowed, quoted))

    @extend_schema(
        operation_id="wallet_refund",
        summary="Refund a charge",
        tags=["Refunds"],
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
        """Give back a charge of your product, or a part of it. Name the charge by exactly one of
        `charge_key`, `transaction_id` and `hold_id`.

        A charge can be given back in several parts, together at most the whole. There is no time limit.
        Credits go back first to those that were paid for, then to the grants that had paid; what goes back
        to a grant past its end is gone at once (`lapsed`).

        The `idempotency_key` is required, and it is not the charge's key. The same key with the same charge
        and `credits` answers the first answer again. Once a charge is given back in full, its own key can't
        be used again.

        The service key needs the right `refund`. Refunds, grants and changes of budgets together are
        limited to 600 a minute for your product.
        """
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
        summary="Start a top-up",
        tags=["Top-ups"],
        request=serializers.TopUpRequest,
        responses={200: serializers.TopUpSession} | errors(403, 413, 415),
    )
    @action(methods=["post"], detail=False, url_path="topup-session", **SERVICE_ONLY)
    def topup_session(self, request: Request) -> HttpResponse:
        """Open a Stripe Checkout for whole dollars and get the address where the user pays. 1 credit costs
        US$1.

        Send the user to `url`. The credits are added when Stripe confirms the payment, which usually takes
        a few seconds; nothing is added here. The checkout is open for an hour. The user then comes back to
        `returnUrl`, with `wallet_topup=success` or `wallet_topup=cancelled` in its query.

        Each request opens another checkout, and only a paid one counts. If Stripe does not answer, the
        answer is 503 and nothing was charged.

        The service key needs the right `topup`.
        """
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
        summary="List transactions",
        tags=["Transactions"],
        parameters=[schema.USER_ID, schema.LIMIT, schema.CURSOR],
        responses={200: serializers.TransactionsPage} | errors(401, 403, 429),
    )
    @action(methods=["get"], detail=False, throttle_classes=[throttles.TransactionReads], **SELF_OR_SERVICE)
    @standby.may_answer
    def transactions(self, request: Request) -> HttpResponse:
        """List what moved a user's balance, newest first: top-ups, charges, captured holds, refunds,
        grants, credits that ended, clawbacks and adjustments by staff.

        Each `balance_after` follows from that of the next older transaction. Holds are not in the list
        until they are captured. After an answer that was lost, look here for what became of the charge.

        A product needs the right `read` and names the user. A user reads their own with their access token.
        A caller may send 200 of these a minute for one user.
        """
        page = statements.page(
            user_id=queries.wallet_owner(request),
            limit=queries.page_limit(request),
            cursor=queries.single(request, "cursor"),
        )
        return no_store(serializers.TransactionsPage(page).data)

    @extend_schema(
        operation_id="wallet_rates",
        summary="List rates",
        tags=["Rates"],
        auth=[],
        responses={200: serializers.RateTable} | errors(),
    )
    @action(methods=["get"], detail=False)
    def rates(self, request: Request) -> HttpResponse:
        """List the price of every feature that can be charged, by feature.

        It is public and needs no credential. A cache may keep the answer for a minute. A price may change
        at any time: a charge takes the price of its moment, and a hold keeps the price of the moment at
        which it was made.
        """
        table = serializers.RateTable({"rates": Rate.objects.active()}).data
        return Response(table, headers={"Cache-Control": "public, max-age=60"})

    @extend_schema(
        operation_id="wallet_webhook",
        summary="Receive an event",
        tags=["Webhooks from Stripe"],
        auth=[],
        request=OpenApiTypes.OBJECT,
        parameters=[schema.STRIPE_SIGNATURE],
        responses={200: serializers.Received} | errors(413),
    )
    @action(methods=["post"], detail=False)
    def webhook(self, request: Request) -> HttpResponse:
        """Receive an event from Stripe. Stripe sends these requests; you set the address at Stripe and do
        not call it yourself.

        The request needs Stripe's signature, of the last 300 seconds. A paid checkout is credited once,
        however often Stripe reports it. A refund or a dispute takes credits back. An event that is not ours
        is accepted and has no effect.

        A 5xx makes Stripe send the event again.
        """
        body = read_body(request._request, limit_bytes=WEBHOOK_BYTES_MAX)
        inbox.receive(body, request.headers.get("Stripe-Signature", ""))
        return no_store({"received": True})

    @property
    def reads_json(self) -> bool:  # type: ignore[override]
        """Whether the body must have a JSON media type. The webhook's body is signed bytes of any type."""
        return self.action != "webhook"
